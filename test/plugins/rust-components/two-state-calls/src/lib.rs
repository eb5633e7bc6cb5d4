//! two-state-calls reads a value from the state store, keeps another there and answers with the first.

wit_bindgen::generate!({ path: "../../../../proto/wit", world: "outrigger:runtime/service", generate_all });

use exports::outrigger::runtime::handler::{Guest, Request, Response};
use outrigger::runtime::state::{get, set};

const STORE: &str = "inventory";
const KEPT: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

struct TwoStateCalls;

impl Guest for TwoStateCalls {
    fn handle(request: Request) -> Response {
        let found = get(STORE, &request.path).expect("to read");
        set(STORE, &request.path, &KEPT).expect("to write");
        let headers = vec![("content-type".into(), "application/octet-stream".into())];
        Response { status: 200, headers, body: found.map_or_else(|| KEPT.to_vec(), |entry| entry.value) }
    }
}

export!(TwoStateCalls);
