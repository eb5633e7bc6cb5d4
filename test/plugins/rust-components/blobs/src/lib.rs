//! Does with containers of wasi:blobstore what the path of each request says: `/put/CONTAINER/OBJECT`, with the body.

wit_bindgen::generate!({
    inline: "
        package test:blobs;
        world guest {
            import wasi:blobstore/blobstore@0.2.0-draft;
            export outrigger:runtime/handler@0.1.0;
        }
    ",
    path: "../../../../proto/wit",
    world: "test:blobs/guest",
    generate_all,
});

use exports::outrigger::runtime::handler::{Guest, Request, Response};
use wasi::blobstore::blobstore::{
    container_exists, copy_object, create_container, delete_container, get_container, move_object, ObjectId,
};
use wasi::blobstore::types::{IncomingValue, OutgoingValue};
use wasi::io::streams::{OutputStream, StreamError};

struct Blobs;

impl Guest for Blobs {
    fn handle(request: Request) -> Response {
        let parts: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
        match answer(&parts, &request.body) {
            Ok(body) => Response { status: 200, headers: vec![], body },
            Err(error) => Response { status: 409, headers: vec![], body: error.into_bytes() },
        }
    }
}

export!(Blobs);

fn answer(parts: &[&str], body: &[u8]) -> Result<Vec<u8>, String> {
    match *parts {
        ["create", container] => create_container(container).map(|_| vec![]),
        ["exists", container] => container_exists(container).map(said),
        ["drop", container] => delete_container(container).map(|_| vec![]),
        ["info", container] => get_container(container)?.info().map(|info| said((info.name, info.created_at > 0))),
        ["put", container, object] => put(container, object, body, true),
        ["early", container, object] => put(container, object, body, false),
        ["unfinished", container, object] => unfinished(container, object, body),
        ["whole", container, object] => {
            let value = get_container(container)?.get_data(object, 0, u64::MAX)?;
            IncomingValue::incoming_value_consume_sync(value)
        }
        ["part", container, object, start, end] => {
            let value = get_container(container)?.get_data(object, number(start), number(end))?;
            let size = value.size();
            let bytes = read(value)?;
            assert_eq!(size, bytes.len() as u64);
            Ok(bytes)
        }
        ["stat", container, object] => {
            let info = get_container(container)?.object_info(object)?;
            Ok(said((info.name, info.container, info.size, info.created_at > 0)))
        }
        ["has", container, object] => get_container(container)?.has_object(object).map(said),
        ["delete", container, ref objects @ ..] => {
            let names: Vec<String> = objects.iter().map(|name| name.to_string()).collect();
            get_container(container)?.delete_objects(&names).map(|_| vec![])
        }
        ["clear", container] => get_container(container)?.clear().map(|_| vec![]),
        ["list", container, skip, count] => list(container, number(skip), number(count)),
        ["copy", container, object, to, name] => copy_object(&id(container, object), &id(to, name)).map(|_| vec![]),
        ["move", container, object, to, name] => move_object(&id(container, object), &id(to, name)).map(|_| vec![]),
        _ => Err("no such thing to do".into()),
    }
}

fn said(value: impl std::fmt::Debug) -> Vec<u8> {
    format!("{value:?}").into_bytes()
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

fn id(container: &str, object: &str) -> ObjectId {
    ObjectId { container: container.into(), object: object.into() }
}

fn put(container: &str, object: &str, bytes: &[u8], is_placed_first: bool) -> Result<Vec<u8>, String> {
    let container = get_container(container)?;
    let value = OutgoingValue::new_outgoing_value();
    if is_placed_first {
        container.write_data(object, &value)?;
    }
    let body = value.outgoing_value_write_body().map_err(|_| "no body")?;
    assert!(value.outgoing_value_write_body().is_err());
    write(&body, bytes)?;
    drop(body);
    if !is_placed_first {
        container.write_data(object, &value)?;
    }
    OutgoingValue::finish(value).map(|_| vec![])
}

fn unfinished(container: &str, object: &str, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let value = OutgoingValue::new_outgoing_value();
    get_container(container)?.write_data(object, &value)?;
    let body = value.outgoing_value_write_body().map_err(|_| "no body")?;
    write(&body, bytes)?;
    Ok(vec![])
}

fn write(body: &OutputStream, bytes: &[u8]) -> Result<(), String> {
    for chunk in bytes.chunks(4096) {
        body.blocking_write_and_flush(chunk).map_err(|error| match error {
            StreamError::LastOperationFailed(error) => error.to_debug_string(),
            StreamError::Closed => "closed".into(),
        })?;
    }
    Ok(())
}

fn read(value: IncomingValue) -> Result<Vec<u8>, String> {
    let stream = IncomingValue::incoming_value_consume_async(value)?;
    let mut bytes = vec![];
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
}

/// Some names, and whether they were the last.
fn list(container: &str, skip: u64, count: u64) -> Result<Vec<u8>, String> {
    let names = get_container(container)?.list_objects()?;
    let (skipped, _) = names.skip_stream_object_names(skip)?;
    let (some, is_end) = names.read_stream_object_names(count)?;
    Ok(said((skipped, some, is_end)))
}
