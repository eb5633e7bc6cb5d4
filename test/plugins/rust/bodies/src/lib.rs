//! bodies changes the body of a request or of its response once it is whole, as `x-request-body` and `x-response-body` say.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

proxy_wasm::main! {{
    proxy_wasm::set_http_context(|_, _| Box::new(Stream { request_edit: None, response_edit: None }));
}}

struct Stream {
    request_edit: Option<String>,
    response_edit: Option<String>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.request_edit = self.get_http_request_header("x-request-body");
        self.response_edit = self.get_http_request_header("x-response-body");
        self.set_http_request_header("content-length", None);
        Action::Continue
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let edit = match &self.request_edit {
            Some(edit) => edit,
            None => return Action::Continue,
        };
        if !end_of_stream {
            return Action::Pause;
        }
        let body = self.get_http_request_body(0, size).unwrap_or_default();
        let (start, length, bytes) = edited(edit, &body);
        self.set_http_request_body(start, length, &bytes);
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.set_http_response_header("content-length", None);
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let edit = match &self.response_edit {
            Some(edit) => edit,
            None => return Action::Continue,
        };
        if !end_of_stream {
            return Action::Pause;
        }
        let body = self.get_http_response_body(0, size).unwrap_or_default();
        let (start, length, bytes) = edited(edit, &body);
        self.set_http_response_body(start, length, &bytes);
        Action::Continue
    }
}

/// What to put where, in place of how many bytes.
fn edited(edit: &str, body: &[u8]) -> (usize, usize, Vec<u8>) {
    match edit.split_once(": ") {
        Some(("append", text)) => (body.len(), 0, text.into()),
        Some(("prepend", text)) => (0, 0, text.into()),
        Some(("replace", text)) => (0, body.len(), text.into()),
        _ => (0, body.len(), body.to_ascii_uppercase()),
    }
}
