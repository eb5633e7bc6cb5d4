// What the host calls: the exports of every plugin, found by name (Proxy-Wasm ABI 0.2.1). A plugin's asconfig.json
// brings them in through entry.ts; each finds its context and calls the method of the same name.
import { Action, BufferType, PeerType } from "./abi-types";
import { readBuffer } from "./body";
import { Context, enter } from "./context";
import { Stream } from "./filter";
import { forgetGrpcCalls, grpcClosed, grpcMessageReceived, lastStatus } from "./grpc";
import {
  GrpcStream,
  grpcInitialMetadataReceived,
  grpcStreamClosed,
  grpcStreamReceived,
  grpcTrailingMetadataReceived,
} from "./grpc-stream";
import { forgetHttpCalls, httpCallAnswered } from "./http";
import { allocate } from "./memory";
import { Plugin } from "./plugin";
import { property } from "./property";
import { Registration, registrationOf } from "./register";
import { Status } from "./status";

const plugins = new Map<u32, Plugin>();
const streams = new Map<u32, Stream>();
const registrations = new Map<u32, Registration>();

function plugin(id: u32): Plugin {
  const found = plugins.get(id);
  enter(found);
  return found;
}

function stream(id: u32): Stream {
  const found = streams.get(id);
  enter(found);
  return found;
}

function forgetCalls(context: Context): void {
  if (context.calls == 0) return;
  forgetHttpCalls(context);
  forgetGrpcCalls(context);
  GrpcStream.cancelThoseOf(context);
}

function bytesOf(buffer: BufferType): Uint8Array {
  return Uint8Array.wrap(readBuffer(buffer));
}

/** Tells the host which version of the ABI this is; never called. */
export function proxy_abi_version_0_2_1(): void {}

/** Gives the host memory for what it returns. */
export function malloc(size: usize): usize {
  return allocate(size);
}

/** The other name of `malloc`. */
export function proxy_on_memory_allocate(size: usize): usize {
  return allocate(size);
}

// Life cycle

export function proxy_on_context_create(id: u32, parentId: u32): void {
  if (parentId == 0) createPlugin(id);
  else createStream(id, parentId);
}

function createPlugin(id: u32): void {
  const rootId = property.text("plugin_root_id");
  const registration = registrationOf(rootId === null ? "" : rootId);
  const created = registration.makePlugin();
  created.id = id;
  plugins.set(id, created);
  registrations.set(id, registration);
}

function createStream(id: u32, parentId: u32): void {
  const created = registrations.get(parentId).makeStream();
  created.id = id;
  created.owner = plugins.get(parentId);
  streams.set(id, created);
}

export function proxy_on_vm_start(id: u32, size: usize): u32 {
  return plugin(id).onVmStart(bytesOf(BufferType.VmConfiguration)) ? 1 : 0;
}

export function proxy_on_configure(id: u32, size: usize): u32 {
  return plugin(id).onConfigure(bytesOf(BufferType.PluginConfiguration)) ? 1 : 0;
}

export function proxy_validate_configuration(id: u32, size: usize): u32 {
  return plugin(id).onValidate(bytesOf(BufferType.PluginConfiguration)) ? 1 : 0;
}

export function proxy_on_tick(id: u32): void {
  plugin(id).onTick();
}

export function proxy_on_done(id: u32): u32 {
  if (plugins.has(id)) return plugin(id).onDone() ? 1 : 0;
  return stream(id).onDone() ? 1 : 0;
}

export function proxy_on_log(id: u32): void {
  if (plugins.has(id)) plugin(id).onLog();
  else stream(id).onLog();
}

export function proxy_on_delete(id: u32): void {
  if (plugins.has(id)) {
    forget(plugins.get(id));
    plugins.delete(id);
    registrations.delete(id);
  } else if (streams.has(id)) {
    forget(streams.get(id));
    streams.delete(id);
  }
}

function forget(context: Context): void {
  forgetCalls(context);
  context.deleted = true;
}

// HTTP

export function proxy_on_request_headers(id: u32, count: u32, endOfStream: u32): Action {
  return stream(id).onRequestHeaders(endOfStream != 0);
}

export function proxy_on_request_body(id: u32, size: i32, endOfStream: u32): Action {
  return stream(id).onRequestBody(size, endOfStream != 0);
}

export function proxy_on_request_trailers(id: u32, count: u32): Action {
  return stream(id).onRequestTrailers();
}

export function proxy_on_response_headers(id: u32, count: u32, endOfStream: u32): Action {
  return stream(id).onResponseHeaders(endOfStream != 0);
}

export function proxy_on_response_body(id: u32, size: i32, endOfStream: u32): Action {
  return stream(id).onResponseBody(size, endOfStream != 0);
}

export function proxy_on_response_trailers(id: u32, count: u32): Action {
  return stream(id).onResponseTrailers();
}

// TCP

export function proxy_on_new_connection(id: u32): Action {
  return stream(id).onNewConnection();
}

export function proxy_on_downstream_data(id: u32, size: i32, endOfStream: u32): Action {
  return stream(id).onDownstreamData(size, endOfStream != 0);
}

export function proxy_on_downstream_connection_close(id: u32, peer: PeerType): void {
  stream(id).onDownstreamClose(peer);
}

export function proxy_on_upstream_data(id: u32, size: i32, endOfStream: u32): Action {
  return stream(id).onUpstreamData(size, endOfStream != 0);
}

export function proxy_on_upstream_connection_close(id: u32, peer: PeerType): void {
  stream(id).onUpstreamClose(peer);
}

// Answers to calls, and what else reaches a plugin

export function proxy_on_http_call_response(
  id: u32, callId: u32, headerCount: u32, bodySize: usize, trailerCount: u32,
): void {
  httpCallAnswered(id, callId, headerCount);
}

export function proxy_on_grpc_receive_initial_metadata(id: u32, callId: u32, count: u32): void {
  grpcInitialMetadataReceived(id, callId);
}

export function proxy_on_grpc_receive(id: u32, callId: u32, size: usize): void {
  if (!grpcStreamReceived(id, callId)) grpcMessageReceived(id, callId);
}

export function proxy_on_grpc_receive_trailing_metadata(id: u32, callId: u32, count: u32): void {
  grpcTrailingMetadataReceived(id, callId);
}

export function proxy_on_grpc_close(id: u32, callId: u32, code: u32): void {
  if (!grpcStreamClosed(id, callId, new Status(code, lastStatus().message))) grpcClosed(id, callId, code);
}

export function proxy_on_queue_ready(id: u32, queueId: u32): void {
  plugin(id).onQueueReady(queueId);
}

export function proxy_on_foreign_function(id: u32, functionId: u32, size: usize): void {
  const context: Context = plugins.has(id) ? plugin(id) : stream(id);
  context.onForeignFunction(functionId, bytesOf(BufferType.ForeignFunctionArguments));
}
