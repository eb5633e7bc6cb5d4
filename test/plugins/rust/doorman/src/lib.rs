//! doorman answers in place of the application where `x-answer-at` says so, and has the host compress where it may.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Stream::default()));
}}

#[derive(Default)]
struct Stream {
    point: String,
    packs: bool,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.point = self.get_http_request_header("x-answer-at").unwrap_or_default();
        self.packs = self.get_http_request_header("accept-encoding").as_deref() == Some("deflate");
        if self.point == "grpc" {
            self.send_grpc_response(proxy_wasm::types::GrpcStatusCode::ResourceExhausted, Some("not now"), vec![]);
            return Action::Pause;
        }
        self.pass("request-headers")
    }

    fn on_http_request_body(&mut self, _: usize, _: bool) -> Action {
        self.pass("request-body")
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if self.packs {
            self.set_http_response_header("content-length", None);
            self.set_http_response_header("content-encoding", Some("deflate"));
        }
        self.pass("response-headers")
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if !self.packs {
            return self.pass("response-body");
        }
        if !end_of_stream {
            return Action::Pause;
        }
        let body = self.get_http_response_body(0, size);
        match self.call_foreign_function("compress", body.as_deref()) {
            Ok(packed) => self.set_http_response_body(0, size, &packed.unwrap_or_default()),
            Err(status) => log::error!("it cannot be compressed: {:?}", status),
        }
        Action::Continue
    }
}

impl Stream {
    fn pass(&self, point: &str) -> Action {
        if self.point != point {
            return Action::Continue;
        }
        let body = format!("not now: {}", point);
        self.send_http_response(429, vec![("x-door", "closed")], Some(body.as_bytes()));
        Action::Pause
    }
}
