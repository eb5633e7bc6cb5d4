/** The Proxy-Wasm ABI: every function by its name, with the versions that have it. */

type Version = "0.1.0" | "0.2.0" | "0.2.1";

export interface AbiFunction {
  readonly name: string;
  /** Of the ABI. This host gives its hostcalls to guests of every version. */
  readonly versions: readonly Version[];
  /** Statuses, or errors of WASI, that a test must have seen in each of these versions; none for what answers nothing. */
  readonly answers: readonly number[];
}

export interface AbiSection {
  readonly title: string;
  readonly functions: readonly AbiFunction[];
}

const all = ["0.1.0", "0.2.0", "0.2.1"] as const;
const since = { "0.2.0": ["0.2.0", "0.2.1"], "0.2.1": ["0.2.1"] } as const;

const functions = (names: string, versions: readonly Version[] = all, answers: readonly number[] = []): AbiFunction[] =>
  names
    .trim()
    .split(/\s+/)
    .map((name) => ({ name, versions, answers }));

const wasi = (names: string, answers: readonly number[]): AbiFunction[] =>
  ["wasi_snapshot_preview1", "wasi_unstable"].flatMap((module) =>
    functions(names, all, answers).map((one) => ({ ...one, name: `${module}.${one.name}` })),
  );

export const callbackSections: readonly AbiSection[] = [
  {
    title: "Starting, memory and contexts",
    functions: functions(`_initialize main __main_void _start malloc proxy_on_memory_allocate proxy_on_context_create
      proxy_on_vm_start proxy_on_configure proxy_on_tick proxy_on_done proxy_on_log proxy_on_delete`),
  },
  {
    title: "TCP connections",
    functions: functions(`proxy_on_new_connection proxy_on_downstream_data proxy_on_downstream_connection_close
      proxy_on_upstream_data proxy_on_upstream_connection_close`),
  },
  {
    title: "HTTP streams",
    functions: functions(`proxy_on_request_headers proxy_on_request_body proxy_on_request_trailers
      proxy_on_response_headers proxy_on_response_body proxy_on_response_trailers`),
  },
  {
    title: "Answers and queues",
    functions: functions(`proxy_on_http_call_response proxy_on_grpc_receive_initial_metadata proxy_on_grpc_receive
      proxy_on_grpc_receive_trailing_metadata proxy_on_grpc_close proxy_on_queue_ready`),
  },
  { title: "Layotto's", functions: functions("proxy_get_id") },
];

export const hostcallSections: readonly AbiSection[] = [
  {
    title: "Contexts and streams",
    functions: [
      ...functions("proxy_set_effective_context", all, [0, 2]),
      ...functions("proxy_done", all, [0, 1]),
      ...functions("proxy_continue_stream proxy_close_stream", since["0.2.0"], [0, 2]),
      ...functions("proxy_continue_request proxy_continue_response", ["0.1.0"], [0, 2]),
      ...functions("proxy_send_local_response", all, [0, 2, 6]),
      ...functions("proxy_clear_route_cache", ["0.1.0"], [0]),
    ],
  },
  {
    title: "Configuration, log, time",
    functions: [
      ...functions("proxy_get_configuration", ["0.1.0"], [0, 6]),
      ...functions("proxy_log", all, [0, 2, 6]),
      ...functions("proxy_get_log_level", since["0.2.1"], [0, 6]),
      ...functions("proxy_get_current_time_nanoseconds", all, [0, 6]),
      ...functions("proxy_set_tick_period_milliseconds", all, [0]),
    ],
  },
  {
    title: "Header maps and buffers",
    functions: [
      ...functions("proxy_get_header_map_value", ["0.1.0"], [0, 2, 6]),
      ...functions("proxy_get_header_map_value", since["0.2.0"], [0, 1, 2, 6]),
      ...functions(
        `proxy_get_header_map_size proxy_get_header_map_pairs proxy_set_header_map_pairs proxy_add_header_map_value
        proxy_replace_header_map_value proxy_remove_header_map_value`,
        all,
        [0, 2, 6],
      ),
      ...functions("proxy_get_buffer_bytes proxy_get_buffer_status proxy_set_buffer_bytes", all, [0, 1, 2, 6]),
    ],
  },
  { title: "Properties", functions: functions("proxy_get_property proxy_set_property", all, [0, 1, 6]) },
  {
    title: "Calls",
    functions: [
      ...functions("proxy_http_call", all, [0, 2, 6]),
      ...functions("proxy_grpc_call proxy_grpc_stream", all, [0, 4, 6]),
      ...functions("proxy_grpc_send", all, [0, 1, 2, 6]),
      ...functions("proxy_grpc_cancel proxy_grpc_close", all, [0, 1]),
      ...functions("proxy_get_status", all, [0, 6]),
      ...functions("proxy_call_foreign_function", all, [0, 1, 6]),
    ],
  },
  {
    title: "Shared data and queues",
    functions: [
      ...functions("proxy_get_shared_data", all, [0, 1, 6]),
      ...functions("proxy_set_shared_data", all, [0, 6, 8]),
      ...functions("proxy_register_shared_queue", all, [0, 6]),
      ...functions("proxy_resolve_shared_queue proxy_enqueue_shared_queue", all, [0, 1, 6]),
      ...functions("proxy_dequeue_shared_queue", all, [0, 1, 6, 7]),
    ],
  },
  {
    title: "Metrics",
    functions: [
      ...functions("proxy_define_metric", all, [0, 2, 6]),
      ...functions("proxy_record_metric", all, [0, 1]),
      ...functions("proxy_increment_metric", all, [0, 1, 2]),
      ...functions("proxy_get_metric", all, [0, 1, 2, 6]),
    ],
  },
  { title: "Layotto's", functions: functions("proxy_get_state proxy_invoke_service", all, [0, 6, 10, 12]) },
  {
    title: "What compilers import",
    functions: functions("emscripten_notify_memory_growth pthread_equal seed trace abort"),
  },
  {
    title: "WASI preview 1",
    functions: [
      ...wasi("fd_write fd_fdstat_get", [0, 8, 21]),
      ...wasi("clock_time_get", [0, 21, 58]),
      ...wasi("random_get", [0, 21, 28]),
      ...wasi("clock_res_get environ_get environ_sizes_get args_sizes_get poll_oneoff", [0, 21]),
      ...wasi("args_get sched_yield fd_close fd_seek", [0]),
      ...wasi("fd_filestat_get fd_prestat_get", [8]),
      ...wasi("path_open", [44]),
      ...wasi("path_filestat_get", [58]),
      ...wasi("proc_exit", []),
      ...wasi(
        `fd_advise fd_allocate fd_datasync fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_set_size
        fd_filestat_set_times fd_pread fd_prestat_dir_name fd_pwrite fd_read fd_readdir fd_renumber fd_sync fd_tell
        path_create_directory path_filestat_set_times path_link path_readlink path_remove_directory path_rename
        path_symlink path_unlink_file proc_raise sock_accept sock_recv sock_send sock_shutdown`,
        [52],
      ),
    ],
  },
];

/** What this host does not have, and why. */
export const absent: readonly { readonly name: string; readonly why: string }[] = [
  {
    name: "proxy_on_foreign_function",
    why: "never called, as in Envoy: it is for extensions of a host that call back, and none of the foreign functions does",
  },
  {
    name: "proxy_validate_configuration",
    why: "never called, as in Envoy: it was meant for control planes, and the ABI dropped it; `proxy_on_configure` judges a configuration, and a deploy that it refuses changes nothing",
  },
  {
    name: "proxy_on_request_metadata, proxy_on_response_metadata",
    why: "never called: METADATA frames of HTTP/2 (type 0x4d) are ignored and not passed on, as RFC 9113 has it for types that one does not know; Envoy drops them too unless `allow_metadata` is set, and the ABI has no map by which a guest could read them",
  },
  {
    name: "proxy_redis_*, proxy_kv_store_*, proxy_dictionary_get, proxy_secret_get",
    why: "hostcalls of other hosts alone; `unknownImports: stub` lets them answer UNIMPLEMENTED",
  },
];
