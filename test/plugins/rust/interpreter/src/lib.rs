//! interpreter has an upstream hear capitals, begins what comes back with `it says: `, and hangs up at `quit`.

use proxy_wasm::traits::{Context, RootContext, StreamContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, PeerType};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Plugin));
}}

struct Plugin;

impl Context for Plugin {}

impl RootContext for Plugin {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::StreamContext)
    }

    fn create_stream_context(&self, _: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(Connection { client: String::new(), is_introduced: false }))
    }
}

struct Connection {
    client: String,
    is_introduced: bool,
}

impl Context for Connection {}

impl StreamContext for Connection {
    fn on_new_connection(&mut self) -> Action {
        let address = self.get_property(vec!["source", "address"]).unwrap_or_default();
        self.client = String::from_utf8_lossy(&address).into_owned();
        Action::Continue
    }

    /// Waits for a whole line.
    fn on_downstream_data(&mut self, size: usize, _: bool) -> Action {
        let data = self.get_downstream_data(0, size).unwrap_or_default();
        if data == b"quit\n" {
            self.close_downstream();
            return Action::Pause;
        }
        if !data.ends_with(b"\n") {
            return Action::Pause;
        }
        self.set_downstream_data(0, size, &data.to_ascii_uppercase());
        Action::Continue
    }

    fn on_upstream_data(&mut self, size: usize, _: bool) -> Action {
        if size > 0 && !self.is_introduced {
            self.set_upstream_data(0, 0, b"it says: ");
            self.is_introduced = true;
        }
        Action::Continue
    }

    fn on_downstream_close(&mut self, peer: PeerType) {
        let who = match peer {
            PeerType::Local => "this side",
            PeerType::Remote => "the client",
            _ => "nobody knows who",
        };
        log::info!("{} hung up on {}", who, self.client);
    }
}
