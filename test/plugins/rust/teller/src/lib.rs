//! teller asks the upstream `echo` over gRPC before a request goes on: by a call, or by a stream where `x-ask` says so.

use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

const SERVICE: &str = "test.Echo";

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Stream { heard: Vec::new() }));
}}

struct Stream {
    heard: Vec<String>,
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let metadata = vec![("x-from", &b"teller"[..])];
        let asked = if self.get_http_request_header("x-ask").as_deref() == Some("stream") {
            self.open_grpc_stream("echo", SERVICE, "Chat", metadata).map(|stream| {
                self.send_grpc_stream_message(stream, Some(b"one"), false);
                self.send_grpc_stream_message(stream, Some(b"two"), true);
            })
        } else {
            let question = self.get_http_request_header("x-question").unwrap_or_default();
            let timeout = Duration::from_secs(2);
            self.dispatch_grpc_call("echo", SERVICE, "Unary", metadata, Some(question.as_bytes()), timeout).map(|_| ())
        };
        match asked {
            Ok(()) => Action::Pause,
            Err(status) => {
                log::error!("nobody can be asked: {:?}", status);
                Action::Continue
            }
        }
    }
}

impl Context for Stream {
    fn on_grpc_call_response(&mut self, _: u32, code: u32, size: usize) {
        if code == 0 {
            let message = self.get_grpc_call_response_body(0, size).unwrap_or_default();
            self.heard.push(String::from_utf8_lossy(&message).into_owned());
        } else {
            let (code, message) = self.get_grpc_status();
            self.heard.push(format!("{} {}", code, message.unwrap_or_default()));
        }
        self.go_on();
    }

    fn on_grpc_stream_initial_metadata(&mut self, _: u32, _: u32) {
        let from = self.get_grpc_stream_initial_metadata_value("x-to").unwrap_or_default();
        self.heard.push(String::from_utf8_lossy(&from).into_owned());
    }

    fn on_grpc_stream_message(&mut self, _: u32, size: usize) {
        let message = self.get_grpc_stream_message(0, size).unwrap_or_default();
        self.heard.push(String::from_utf8_lossy(&message).into_owned());
    }

    fn on_grpc_stream_trailing_metadata(&mut self, _: u32, _: u32) {
        let end = self.get_grpc_stream_trailing_metadata_value("x-end").unwrap_or_default();
        self.heard.push(String::from_utf8_lossy(&end).into_owned());
    }

    fn on_grpc_stream_close(&mut self, _: u32, code: u32) {
        self.heard.push(format!("closed {}", code));
        self.go_on();
    }
}

impl Stream {
    fn go_on(&self) {
        self.set_http_request_header("x-heard", Some(&self.heard.join(",")));
        self.resume_http_request();
    }
}
