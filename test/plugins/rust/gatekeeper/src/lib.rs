//! gatekeeper lets a request pass when the upstream `people` knows its token, and tells the application whose it is.

use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

const UPSTREAM: &str = "people";
const TIMEOUT: Duration = Duration::from_secs(2);

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Stream));
}}

struct Stream;

impl HttpContext for Stream {
    /// Asks who it is, and holds the request until that is known.
    fn on_http_request_headers(&mut self, _fields: usize, _end_of_stream: bool) -> Action {
        // What a client says it is, is not to be believed.
        self.set_http_request_header("x-user", None);
        let token = match self.get_http_request_header("authorization") {
            Some(token) => token,
            None => return self.refuse(401, "a token is needed"),
        };
        let question = vec![
            (":method", "GET"),
            (":path", "/whoami"),
            (":authority", UPSTREAM),
            ("authorization", token.as_str()),
        ];
        match self.dispatch_http_call(UPSTREAM, question, None, vec![], TIMEOUT) {
            Ok(_) => Action::Pause,
            Err(status) => {
                log::error!("{} cannot be asked: {:?}", UPSTREAM, status);
                self.refuse(503, "nobody can be asked")
            }
        }
    }
}

impl Context for Stream {
    /// Gets no fields at all when the upstream failed or was too late.
    fn on_http_call_response(&mut self, _call: u32, fields: usize, body_size: usize, _trailers: usize) {
        if fields == 0 {
            self.refuse(503, "nobody answered");
            return;
        }
        if self.get_http_call_response_header(":status").as_deref() != Some("200") {
            self.refuse(403, "the token is not known");
            return;
        }
        let user = self.get_http_call_response_body(0, body_size).unwrap_or_default();
        self.add_http_request_header("x-user", &String::from_utf8_lossy(&user));
        self.resume_http_request();
    }
}

impl Stream {
    fn refuse(&self, status: u32, why: &str) -> Action {
        let fields = vec![("content-type", "text/plain"), ("www-authenticate", "Bearer")];
        self.send_http_response(status, fields, Some(why.as_bytes()));
        Action::Pause
    }
}
