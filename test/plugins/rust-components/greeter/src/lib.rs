//! greeter says hello, and counts in a state store how often it did.

wit_bindgen::generate!({ path: "../../../../proto/wit", world: "service", generate_all });

use exports::outrigger::runtime::handler::{Guest, Request, Response};
use outrigger::runtime::log::{write, Level};
use outrigger::runtime::state::increment;

const STORE: &str = "greetings";

struct Greeter;

impl Guest for Greeter {
    fn handle(request: Request) -> Response {
        let name = request.path.rsplit('/').next().unwrap_or("stranger");
        match increment(STORE, &format!("greeted/{name}"), 1) {
            Ok(times) => answer(200, format!("hello {name}, {times}\n")),
            Err(error) => {
                write(Level::Error, &format!("the greetings of {name} cannot be counted: {error:?}"));
                answer(503, "the count cannot be kept now\n".into())
            }
        }
    }
}

export!(Greeter);

fn answer(status: u16, text: String) -> Response {
    Response { status, headers: vec![("content-type".into(), "text/plain".into())], body: text.into_bytes() }
}
