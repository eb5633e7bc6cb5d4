//! A server of wasi:http: each path shows one thing that a guest may do.

use std::io::Write;

use wasip2::cli::environment::get_environment;
use wasip2::clocks::monotonic_clock::{now, subscribe_duration};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, HeaderError, IncomingBody, IncomingRequest, Method, OutgoingBody, OutgoingRequest,
    OutgoingResponse, RequestOptions, ResponseOutparam,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::random::random::get_random_bytes;
use wasip2::sockets::{instance_network::instance_network, ip_name_lookup, network, tcp_create_socket};

struct Web;

wasip2::http::proxy::export!(Web);

impl Guest for Web {
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        match path {
            "/hello" => say(outparam, "hello"),
            "/head" => say(outparam, &described(&request)),
            "/echo" => echo(request, outparam),
            "/count" => count(request, outparam),
            "/early" => say(outparam, "no body wanted"),
            "/produce" => produce(outparam, number(query)),
            "/proxy" => proxy(request, outparam),
            "/sleep" => sleep(outparam, number(query)),
            "/print" => print(outparam),
            "/env" => say(outparam, &variables()),
            "/random" => say(outparam, &get_random_bytes(number(query)).len().to_string()),
            "/file" => say(outparam, &format!("{:?}", std::fs::read("/etc/passwd").map_err(|error| error.kind()))),
            "/socket" => say(outparam, &sockets()),
            "/exit" => std::process::exit(1),
            "/silent" => drop(outparam),
            "/error" => ResponseOutparam::set(outparam, Err(ErrorCode::InternalError(Some("no stock".into())))),
            "/timeout" => ResponseOutparam::set(outparam, Err(ErrorCode::ConnectionTimeout)),
            "/declare" => declare(outparam, query),
            "/unfinished" => unfinished(outparam),
            "/trap" => trap(outparam),
            "/after" => after(outparam, number(query)),
            "/fields" => say(outparam, &fields()),
            "/status" => status(outparam, number(query) as u16),
            _ => status(outparam, 404),
        }
    }
}

fn number(query: &str) -> u64 {
    query.parse().unwrap_or(0)
}

fn answer(outparam: ResponseOutparam, status: u16, headers: Fields) -> OutgoingBody {
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).expect("a status");
    let body = response.body().expect("a body");
    ResponseOutparam::set(outparam, Ok(response));
    body
}

fn say(outparam: ResponseOutparam, text: &str) {
    let headers = Fields::from_list(&[("content-type".into(), b"text/plain".to_vec())]).expect("fields");
    let body = answer(outparam, 200, headers);
    let out = body.write().expect("a stream");
    for part in text.as_bytes().chunks(4096) {
        out.blocking_write_and_flush(part).expect("to write");
    }
    drop(out);
    OutgoingBody::finish(body, None).expect("to finish");
}

fn status(outparam: ResponseOutparam, code: u16) {
    let response = OutgoingResponse::new(Fields::new());
    let known = response.set_status_code(code).is_ok();
    if !known {
        response.set_status_code(500).expect("a status");
    }
    ResponseOutparam::set(outparam, Ok(response));
}

fn described(request: &IncomingRequest) -> String {
    let mut text = format!(
        "{:?} {:?} {:?} {:?}\n",
        request.method(),
        request.path_with_query(),
        request.scheme(),
        request.authority()
    );
    let headers = request.headers();
    for (name, value) in headers.entries() {
        text += &format!("{name}: {}\n", String::from_utf8_lossy(&value));
    }
    text += &format!("{:?}", headers.append("x-more", b"1").unwrap_err());
    text
}

/// Passes on bytes until there are none: by `splice`, waiting as it must.
fn pour(from: &InputStream, to: &OutputStream) -> Result<u64, StreamError> {
    let mut poured = 0;
    loop {
        match to.blocking_splice(from, 1 << 20) {
            Ok(count) => poured += count,
            Err(StreamError::Closed) => return Ok(poured),
            Err(error) => return Err(error),
        }
    }
}

fn trailers_of(body: IncomingBody) -> Option<Fields> {
    let future = IncomingBody::finish(body);
    future.subscribe().block();
    future.get().expect("trailers").expect("the first time").ok().flatten()
}

fn copied(fields: &Fields) -> Fields {
    Fields::from_list(&fields.entries()).expect("fields")
}

fn echo(request: IncomingRequest, outparam: ResponseOutparam) {
    let incoming = request.consume().expect("a body");
    let body = answer(outparam, 200, Fields::new());
    let from = incoming.stream().expect("a stream");
    let to = body.write().expect("a stream");
    let poured = pour(&from, &to);
    drop(from);
    drop(to);
    if poured.is_err() {
        return;
    }
    let trailers = trailers_of(incoming);
    OutgoingBody::finish(body, trailers.as_ref().map(copied)).expect("to finish");
}

fn count(request: IncomingRequest, outparam: ResponseOutparam) {
    let incoming = request.consume().expect("a body");
    let from = incoming.stream().expect("a stream");
    let mut bytes = 0;
    loop {
        match from.blocking_read(1 << 20) {
            Ok(part) => bytes += part.len(),
            Err(_) => break,
        }
    }
    drop(from);
    let trailers = trailers_of(incoming).map(|fields| fields.entries().len()).unwrap_or(0);
    say(outparam, &format!("{bytes} bytes, {trailers} trailers"));
}

fn produce(outparam: ResponseOutparam, bytes: u64) {
    let body = answer(outparam, 200, Fields::new());
    let out = body.write().expect("a stream");
    let part = vec![b'x'; 16 * 1024];
    let ready = out.subscribe();
    let mut left = bytes;
    while left > 0 {
        let Ok(room) = out.check_write() else { return };
        if room == 0 {
            ready.block();
            continue;
        }
        let next = left.min(room).min(part.len() as u64);
        if out.write(&part[..next as usize]).is_err() {
            return;
        }
        left -= next;
    }
    drop(ready);
    drop(out);
    let trailers = Fields::from_list(&[("x-produced".into(), bytes.to_string().into_bytes())]).expect("fields");
    OutgoingBody::finish(body, Some(trailers)).expect("to finish");
}

fn header(request: &IncomingRequest, name: &str) -> Option<String> {
    let values = request.headers().get(name);
    values.first().map(|value| String::from_utf8_lossy(value).into_owned())
}

/// Sends the request on to the upstream and path that its fields name, and answers with what comes.
fn proxy(request: IncomingRequest, outparam: ResponseOutparam) {
    let fields = Fields::new();
    if let Some(trace) = header(&request, "traceparent") {
        fields.append("traceparent", trace.as_bytes()).expect("a field");
    }
    let outgoing = OutgoingRequest::new(fields);
    outgoing.set_authority(header(&request, "x-upstream").as_deref()).expect("an authority");
    outgoing.set_path_with_query(header(&request, "x-path").as_deref()).expect("a path");
    outgoing.set_method(&request.method()).expect("a method");
    let options = RequestOptions::new();
    if let Some(ms) = header(&request, "x-timeout") {
        options.set_first_byte_timeout(Some(number(&ms) * 1_000_000)).expect("a timeout");
    }
    let sent = match request.method() {
        Method::Get | Method::Head => None,
        _ => Some(outgoing.body().expect("a body")),
    };
    let future = match outgoing_handler::handle(outgoing, Some(options)) {
        Ok(future) => future,
        Err(error) => return ResponseOutparam::set(outparam, Err(error)),
    };
    if let Some(sent) = sent {
        let incoming = request.consume().expect("a body");
        let from = incoming.stream().expect("a stream");
        let to = sent.write().expect("a stream");
        let _ = pour(&from, &to);
        drop(from);
        drop(to);
        let trailers = trailers_of(incoming);
        let _ = OutgoingBody::finish(sent, trailers.as_ref().map(copied));
    }
    future.subscribe().block();
    let response = match future.get().expect("a response").expect("the first time") {
        Ok(response) => response,
        Err(error) => return ResponseOutparam::set(outparam, Err(error)),
    };
    let body = answer(outparam, response.status(), copied(&response.headers()));
    let incoming = response.consume().expect("a body");
    let from = incoming.stream().expect("a stream");
    let to = body.write().expect("a stream");
    let poured = pour(&from, &to);
    drop(from);
    drop(to);
    if poured.is_ok() {
        let trailers = trailers_of(incoming);
        OutgoingBody::finish(body, trailers.as_ref().map(copied)).expect("to finish");
    }
}

fn sleep(outparam: ResponseOutparam, ms: u64) {
    let since = now();
    subscribe_duration(ms * 1_000_000).block();
    let slept = (now() - since) / 1_000_000;
    say(outparam, if slept >= ms { "slept" } else { "woke early" });
}

fn print(outparam: ResponseOutparam) {
    println!("a line");
    print!("and ");
    println!("another");
    eprintln!("a complaint");
    print!("without an end");
    std::io::stdout().flush().expect("to flush");
    say(outparam, "printed");
}

fn variables() -> String {
    let known: Vec<String> = get_environment().iter().map(|(name, value)| format!("{name}={value}")).collect();
    known.join("\n")
}

fn sockets() -> String {
    let tcp = tcp_create_socket::create_tcp_socket(network::IpAddressFamily::Ipv4).err();
    let name = ip_name_lookup::resolve_addresses(&instance_network(), "localhost").err();
    format!("{tcp:?} {name:?}")
}

/// Declares one length and writes another: `declared,written`.
fn declare(outparam: ResponseOutparam, query: &str) {
    let (declared, written) = query.split_once(',').expect("two numbers");
    let headers = Fields::from_list(&[("content-length".into(), declared.as_bytes().to_vec())]).expect("fields");
    let body = answer(outparam, 200, headers);
    let out = body.write().expect("a stream");
    let wrote = out.blocking_write_and_flush(&vec![b'y'; number(written) as usize]);
    drop(out);
    let finished = OutgoingBody::finish(body, None);
    println!("{} {finished:?}", if wrote.is_ok() { "wrote" } else { "did not write" });
}

fn unfinished(outparam: ResponseOutparam) {
    let body = answer(outparam, 200, Fields::new());
    let out = body.write().expect("a stream");
    out.blocking_write_and_flush(b"half").expect("to write");
}

fn trap(outparam: ResponseOutparam) {
    let body = answer(outparam, 200, Fields::new());
    let out = body.write().expect("a stream");
    out.blocking_write_and_flush(b"half").expect("to write");
    std::process::abort();
}

fn after(outparam: ResponseOutparam, ms: u64) {
    say(outparam, "answered");
    subscribe_duration(ms * 1_000_000).block();
    println!("worked on after the answer");
}

fn fields() -> String {
    let fields = Fields::new();
    let told = |result: Result<(), HeaderError>| result.map_or_else(|error| format!("{error:?}"), |_| "ok".into());
    let steps = [
        told(fields.append("X-One", b"1")),
        told(fields.append("x-one", b"2")),
        told(fields.set("x two", &[b"1".to_vec()])),
        told(fields.append("x-two", b"a\nb")),
        told(fields.append("Host", b"h")),
        told(fields.append("transfer-encoding", b"chunked")),
        format!("{:?}", fields.get("X-ONE")),
        format!("{}", fields.has("x-two")),
        told(fields.delete("x-one")),
        format!("{}", fields.entries().len()),
    ];
    let frozen = OutgoingResponse::new(fields).headers();
    format!("{}\n{}", steps.join("\n"), told(frozen.append("x-one", b"1")))
}
