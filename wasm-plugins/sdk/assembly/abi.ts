// The hostcalls of Proxy-Wasm 0.2.1, as the host exports them: pointers and sizes, a status back. Only those that a
// plugin reaches become imports of its module. The classes of this library are built on them; a plugin rarely needs one.
import { AbiStatus, BufferType, LogLevel, MapType, MetricType, StreamType } from "./abi-types";

// Life cycle, log, time

@external("env", "proxy_done")
export declare function proxy_done(): AbiStatus;
@external("env", "proxy_set_effective_context")
export declare function proxy_set_effective_context(contextId: u32): AbiStatus;
@external("env", "proxy_log")
export declare function proxy_log(level: LogLevel, message: usize, messageSize: usize): AbiStatus;
@external("env", "proxy_get_log_level")
export declare function proxy_get_log_level(returnLevel: usize): AbiStatus;
@external("env", "proxy_get_current_time_nanoseconds")
export declare function proxy_get_current_time_nanoseconds(returnTime: usize): AbiStatus;
@external("env", "proxy_set_tick_period_milliseconds")
export declare function proxy_set_tick_period_milliseconds(period: u32): AbiStatus;

// Buffers

@external("env", "proxy_get_buffer_bytes")
export declare function proxy_get_buffer_bytes(
  buffer: BufferType, start: usize, maxSize: usize, returnData: usize, returnSize: usize,
): AbiStatus;
@external("env", "proxy_set_buffer_bytes")
export declare function proxy_set_buffer_bytes(
  buffer: BufferType, start: usize, size: usize, data: usize, dataSize: usize,
): AbiStatus;
@external("env", "proxy_get_buffer_status")
export declare function proxy_get_buffer_status(buffer: BufferType, returnSize: usize, returnUnused: usize): AbiStatus;

// Header maps

@external("env", "proxy_get_header_map_size")
export declare function proxy_get_header_map_size(map: MapType, returnSize: usize): AbiStatus;
@external("env", "proxy_get_header_map_pairs")
export declare function proxy_get_header_map_pairs(map: MapType, returnData: usize, returnSize: usize): AbiStatus;
@external("env", "proxy_set_header_map_pairs")
export declare function proxy_set_header_map_pairs(map: MapType, data: usize, size: usize): AbiStatus;
@external("env", "proxy_get_header_map_value")
export declare function proxy_get_header_map_value(
  map: MapType, key: usize, keySize: usize, returnData: usize, returnSize: usize,
): AbiStatus;
@external("env", "proxy_add_header_map_value")
export declare function proxy_add_header_map_value(
  map: MapType, key: usize, keySize: usize, value: usize, valueSize: usize,
): AbiStatus;
@external("env", "proxy_replace_header_map_value")
export declare function proxy_replace_header_map_value(
  map: MapType, key: usize, keySize: usize, value: usize, valueSize: usize,
): AbiStatus;
@external("env", "proxy_remove_header_map_value")
export declare function proxy_remove_header_map_value(map: MapType, key: usize, keySize: usize): AbiStatus;

// Streams

@external("env", "proxy_send_local_response")
export declare function proxy_send_local_response(
  status: u32, details: usize, detailsSize: usize, body: usize, bodySize: usize,
  headers: usize, headersSize: usize, grpcStatus: i32,
): AbiStatus;
@external("env", "proxy_continue_stream")
export declare function proxy_continue_stream(stream: StreamType): AbiStatus;
@external("env", "proxy_close_stream")
export declare function proxy_close_stream(stream: StreamType): AbiStatus;

// Calls

@external("env", "proxy_http_call")
export declare function proxy_http_call(
  upstream: usize, upstreamSize: usize, headers: usize, headersSize: usize, body: usize, bodySize: usize,
  trailers: usize, trailersSize: usize, timeoutMs: u32, returnCallId: usize,
): AbiStatus;
@external("env", "proxy_grpc_call")
export declare function proxy_grpc_call(
  upstream: usize, upstreamSize: usize, service: usize, serviceSize: usize, method: usize, methodSize: usize,
  metadata: usize, metadataSize: usize, message: usize, messageSize: usize, timeoutMs: u32, returnCallId: usize,
): AbiStatus;
@external("env", "proxy_grpc_stream")
export declare function proxy_grpc_stream(
  upstream: usize, upstreamSize: usize, service: usize, serviceSize: usize, method: usize, methodSize: usize,
  metadata: usize, metadataSize: usize, returnStreamId: usize,
): AbiStatus;
@external("env", "proxy_grpc_send")
export declare function proxy_grpc_send(streamId: u32, message: usize, messageSize: usize, endOfStream: u32): AbiStatus;
@external("env", "proxy_grpc_cancel")
export declare function proxy_grpc_cancel(id: u32): AbiStatus;
@external("env", "proxy_grpc_close")
export declare function proxy_grpc_close(id: u32): AbiStatus;
@external("env", "proxy_get_status")
export declare function proxy_get_status(returnCode: usize, returnMessage: usize, returnMessageSize: usize): AbiStatus;
@external("env", "proxy_call_foreign_function")
export declare function proxy_call_foreign_function(
  name: usize, nameSize: usize, argument: usize, argumentSize: usize, returnData: usize, returnSize: usize,
): AbiStatus;

// Properties, shared data, queues

@external("env", "proxy_get_property")
export declare function proxy_get_property(
  path: usize, pathSize: usize, returnData: usize, returnSize: usize,
): AbiStatus;
@external("env", "proxy_set_property")
export declare function proxy_set_property(path: usize, pathSize: usize, value: usize, valueSize: usize): AbiStatus;
@external("env", "proxy_get_shared_data")
export declare function proxy_get_shared_data(
  key: usize, keySize: usize, returnData: usize, returnSize: usize, returnCas: usize,
): AbiStatus;
@external("env", "proxy_set_shared_data")
export declare function proxy_set_shared_data(
  key: usize, keySize: usize, value: usize, valueSize: usize, cas: u32,
): AbiStatus;
@external("env", "proxy_register_shared_queue")
export declare function proxy_register_shared_queue(name: usize, nameSize: usize, returnQueueId: usize): AbiStatus;
@external("env", "proxy_resolve_shared_queue")
export declare function proxy_resolve_shared_queue(
  vmId: usize, vmIdSize: usize, name: usize, nameSize: usize, returnQueueId: usize,
): AbiStatus;
@external("env", "proxy_enqueue_shared_queue")
export declare function proxy_enqueue_shared_queue(queueId: u32, value: usize, valueSize: usize): AbiStatus;
@external("env", "proxy_dequeue_shared_queue")
export declare function proxy_dequeue_shared_queue(queueId: u32, returnData: usize, returnSize: usize): AbiStatus;

// Metrics

@external("env", "proxy_define_metric")
export declare function proxy_define_metric(
  type: MetricType, name: usize, nameSize: usize, returnMetricId: usize,
): AbiStatus;
@external("env", "proxy_increment_metric")
export declare function proxy_increment_metric(metricId: u32, delta: i64): AbiStatus;
@external("env", "proxy_record_metric")
export declare function proxy_record_metric(metricId: u32, value: u64): AbiStatus;
@external("env", "proxy_get_metric")
export declare function proxy_get_metric(metricId: u32, returnValue: usize): AbiStatus;
