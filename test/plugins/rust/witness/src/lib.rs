//! witness tells in fields of the response what it knows of a stream and of itself, and logs at each level.

use std::time::{SystemTime, UNIX_EPOCH};

use proxy_wasm::hostcalls::get_log_level;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Plugin { court: String::new() }));
}}

struct Plugin {
    court: String,
}

impl Context for Plugin {}

impl RootContext for Plugin {
    fn on_vm_start(&mut self, _: usize) -> bool {
        self.court = text(self.get_vm_configuration());
        let _ = proxy_wasm::hostcalls::log(LogLevel::Critical, "the court sits");
        log::error!("an error");
        log::warn!("a warning");
        log::info!("a remark");
        log::debug!("a detail");
        log::trace!("a trifle");
        true
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { id, court: self.court.clone() }))
    }
}

struct Stream {
    id: u32,
    court: String,
}

impl Context for Stream {
    fn on_done(&mut self) -> bool {
        log::info!("stream {} is done", self.id);
        true
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let seen = text(self.get_property(vec!["witnesses"]));
        let own = text(self.get_plugin_name());
        self.set_property(vec!["witnesses"], Some(format!("{}{};", seen, own).as_bytes()));
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let now = self.get_current_time();
        let known = [
            ("x-court", self.court.clone()),
            ("x-plugin", text(self.get_plugin_name())),
            ("x-source", text(self.get_property(vec!["source", "address"]))),
            ("x-port", number(self.get_property(vec!["destination", "port"]))),
            ("x-protocol", text(self.get_property(vec!["request", "protocol"]))),
            ("x-path", text(self.get_property(vec!["request", "path"]))),
            ("x-agent", text(self.get_property(vec!["request", "headers", "user-agent"]))),
            ("x-code", number(self.get_property(vec!["response", "code"]))),
            ("x-witnesses", text(self.get_property(vec!["witnesses"]))),
            ("x-nothing", format!("{:?}", self.get_property(vec!["no", "such", "thing"]))),
            ("x-year", year(now).to_string()),
            ("x-waited", self.waited(now)),
            ("x-level", format!("{:?}", get_log_level())),
        ];
        for (name, value) in known {
            self.set_http_response_header(name, Some(&value));
        }
        Action::Continue
    }
}

impl Stream {
    fn get_plugin_name(&self) -> Option<Vec<u8>> {
        self.get_property(vec!["plugin_name"])
    }

    /// Whether the request began before now, and less than a minute ago.
    fn waited(&self, now: SystemTime) -> String {
        let nanoseconds = self.get_property(vec!["request", "time"]).and_then(|bytes| bytes.try_into().ok());
        let began = nanoseconds.map_or(0, i64::from_le_bytes) as u128;
        let now = now.duration_since(UNIX_EPOCH).expect("a time").as_nanos();
        (began <= now && now - began < 60_000_000_000).to_string()
    }
}

fn year(time: SystemTime) -> u64 {
    1970 + time.duration_since(UNIX_EPOCH).expect("a time").as_secs() / 31_556_952
}

fn text(bytes: Option<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

/// Numbers are eight bytes.
fn number(bytes: Option<Vec<u8>>) -> String {
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map_or_else(|| String::from("none"), |bytes| i64::from_le_bytes(bytes).to_string())
}
