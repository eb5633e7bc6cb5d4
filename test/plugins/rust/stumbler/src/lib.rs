//! stumbler does what a plugin should not, as `x-stumble` says.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Stream { turns: 0, hoard: Vec::new() }));
}}

struct Stream {
    turns: u64,
    hoard: Vec<Vec<u8>>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, count: usize, _: bool) -> Action {
        match self.get_http_request_header("x-stumble").as_deref() {
            Some("panic") => self.stumble(count),
            Some("loop") => self.run(),
            Some("hoard") => self.hoard(),
            Some("depth") => self.turns = self.fall(count as u64),
            _ => {}
        }
        Action::Continue
    }
}

impl Stream {
    #[inline(never)]
    fn stumble(&self, index: usize) {
        let empty = &self.hoard;
        log::info!("{}", empty[index].len());
    }

    #[inline(never)]
    fn run(&mut self) {
        while self.get_http_request_header("x-stumble").is_some() {
            self.turns += 1;
        }
    }

    #[inline(never)]
    fn hoard(&mut self) {
        while self.hoard.len() < 1024 {
            self.hoard.push(vec![1; 1 << 20]);
        }
    }

    #[inline(never)]
    fn fall(&self, depth: u64) -> u64 {
        if depth == u64::MAX {
            return depth;
        }
        let steps = [depth; 64];
        let place = (depth % 64) as usize;
        self.fall(depth + steps[place]) + steps[(place + 1) % 64]
    }
}
