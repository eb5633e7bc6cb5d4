//! headers changes the fields and trailers of requests and of their responses, as its configuration says: `NAME=VALUE` a line.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Plugin { stamps: Vec::new() }));
}}

type Stamps = Vec<(String, String)>;

struct Plugin {
    stamps: Stamps,
}

impl Context for Plugin {}

impl RootContext for Plugin {
    fn on_configure(&mut self, size: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        if text.len() != size {
            log::error!("of {} bytes {} were given", size, text.len());
            return false;
        }
        let lines = String::from_utf8_lossy(&text).into_owned();
        for line in lines.lines() {
            match line.split_once('=') {
                Some((name, value)) => self.stamps.push((name.to_string(), value.to_string())),
                None => {
                    log::error!("'{}' is not NAME=VALUE", line);
                    return false;
                }
            }
        }
        true
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        let stamps = self.stamps.clone();
        Some(Box::new(Stream { stamps, path: String::new() }))
    }
}

struct Stream {
    stamps: Stamps,
    path: String,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, count: usize, end_of_stream: bool) -> Action {
        let fields = self.get_http_request_headers();
        if fields.len() != count {
            log::error!("of {} fields {} were given", count, fields.len());
        }
        self.path = self.get_http_request_header(":path").unwrap_or_default();
        for (name, value) in &self.stamps {
            self.add_http_request_header(name, value);
        }
        self.set_http_request_header("x-replaced", Some("new"));
        self.set_http_request_header("x-removed", None);
        if !end_of_stream {
            self.add_http_request_header("x-has-body", "yes");
        }
        if let Some(value) = self.get_http_request_header("x-missing") {
            log::error!("a missing field is {:?}", value);
        }
        Action::Continue
    }

    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        self.add_http_request_trailer("x-counted", &"i".repeat(count));
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let mut kept = self.get_http_response_headers();
        kept.retain(|(name, _)| !name.starts_with("x-internal-"));
        kept.push(("x-served-by".to_string(), "headers".to_string()));
        self.set_http_response_headers(kept.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect());
        // Bytes that are no text stay what they are.
        self.add_http_response_header_bytes("x-bytes", &[b'a', 0xe9]);
        // The request stays readable while its response passes.
        let method = self.get_http_request_header(":method").unwrap_or_default();
        self.add_http_response_header("x-answers", &format!("{} {}", method, self.path));
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        let sum = self.get_http_response_trailer("x-sum").unwrap_or_default();
        self.set_http_response_trailer("x-sum", Some(&sum.repeat(2)));
        self.set_http_response_trailer("x-internal-sum", None);
        Action::Continue
    }

    fn on_log(&mut self) {
        let status = self.get_http_response_header(":status").unwrap_or_default();
        log::info!("{} was answered with {}", self.path, status);
    }
}
