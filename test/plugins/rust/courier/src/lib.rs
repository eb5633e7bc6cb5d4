//! courier puts the paths of requests into a queue, and takes them out again at `on_queue_ready`.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, Status};

const QUEUE: &str = "paths";

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Plugin { queue: 0 }));
}}

struct Plugin {
    queue: u32,
}

impl Context for Plugin {}

impl RootContext for Plugin {
    fn on_vm_start(&mut self, _: usize) -> bool {
        self.queue = self.register_shared_queue(QUEUE);
        self.resolve_shared_queue("", QUEUE) == Some(self.queue)
    }

    fn on_queue_ready(&mut self, queue: u32) {
        if queue != self.queue {
            log::error!("queue {} is not {}", queue, self.queue);
        }
        match self.dequeue_shared_queue(queue) {
            Ok(Some(path)) => log::info!("delivered {}", String::from_utf8_lossy(&path)),
            // Another instance was there before.
            Ok(None) | Err(Status::Empty) => {}
            Err(status) => log::error!("the queue cannot be read: {:?}", status),
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { queue: self.queue }))
    }
}

struct Stream {
    queue: u32,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let path = self.get_http_request_header(":path").unwrap_or_default();
        self.enqueue_shared_queue(self.queue, Some(path.as_bytes())).expect("room in the queue");
        Action::Continue
    }
}
