//! ledger adds what `x-amount` says to a sum that all instances share, by compare-and-set.

use proxy_wasm::hostcalls::{get_shared_data, set_shared_data};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel, Status};

const SUM: &str = "sum";

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Stream));
}}

struct Stream;

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let number = |name| self.get_http_request_header(name).and_then(|text| text.parse::<u64>().ok());
        let sum = added(number("x-amount").unwrap_or(1), number("x-meanwhile"));
        self.set_http_request_header("x-sum", Some(&sum.to_string()));
        Action::Continue
    }
}

/// The new sum. `meanwhile` is what somebody else adds before the first attempt is written.
fn added(amount: u64, mut meanwhile: Option<u64>) -> u64 {
    loop {
        let (value, version) = get_shared_data(SUM).expect("the sum");
        let sum = value.map_or(0, |bytes| String::from_utf8_lossy(&bytes).parse::<u64>().expect("a number"));
        if let Some(other) = meanwhile.take() {
            set_shared_data(SUM, Some((sum + other).to_string().as_bytes()), None).expect("a sum of its own");
        }
        match set_shared_data(SUM, Some((sum + amount).to_string().as_bytes()), version) {
            Ok(()) => return sum + amount,
            Err(Status::CasMismatch) => log::info!("somebody else was faster"),
            Err(status) => panic!("the sum cannot be written: {:?}", status),
        }
    }
}
