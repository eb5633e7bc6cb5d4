/** Writes small Proxy-Wasm guests as WebAssembly text: the hostcalls are imported, the test writes the callbacks. */

/** Hostcalls by their numbers of i32 parameters; they answer a status. */
export const hostcalls: Readonly<Record<string, number>> = {
  proxy_log: 3,
  proxy_get_log_level: 1,
  proxy_done: 0,
  proxy_set_effective_context: 1,
  proxy_get_header_map_size: 2,
  proxy_get_header_map_pairs: 3,
  proxy_set_header_map_pairs: 3,
  proxy_get_header_map_value: 5,
  proxy_add_header_map_value: 5,
  proxy_replace_header_map_value: 5,
  proxy_remove_header_map_value: 3,
  proxy_get_buffer_bytes: 5,
  proxy_get_buffer_status: 3,
  proxy_set_buffer_bytes: 5,
  proxy_continue_stream: 1,
  proxy_close_stream: 1,
  proxy_send_local_response: 8,
  proxy_get_property: 4,
  proxy_set_property: 4,
  proxy_http_call: 10,
  proxy_grpc_call: 12,
  proxy_grpc_stream: 9,
  proxy_grpc_send: 4,
  proxy_grpc_cancel: 1,
  proxy_grpc_close: 1,
  proxy_get_status: 3,
  proxy_get_shared_data: 5,
  proxy_set_shared_data: 5,
  proxy_register_shared_queue: 3,
  proxy_resolve_shared_queue: 5,
  proxy_enqueue_shared_queue: 3,
  proxy_dequeue_shared_queue: 3,
  proxy_define_metric: 4,
  proxy_get_metric: 2,
  proxy_get_current_time_nanoseconds: 1,
  proxy_set_tick_period_milliseconds: 1,
  proxy_call_foreign_function: 6,
};

/** Callbacks by their parameters, and whether they answer. */
const callbacks: Readonly<Record<string, readonly [parameters: string, answers: boolean]>> = {
  _initialize: ["", false],
  _start: ["", false],
  main: ["$a $b", true],
  __main_void: ["", true],
  proxy_get_id: ["", false],
  proxy_on_context_create: ["$id $parent", false],
  proxy_on_vm_start: ["$id $size", true],
  proxy_on_configure: ["$id $size", true],
  proxy_on_tick: ["$id", false],
  proxy_on_done: ["$id", true],
  proxy_on_log: ["$id", false],
  proxy_on_delete: ["$id", false],
  proxy_on_new_connection: ["$id", true],
  proxy_on_downstream_data: ["$id $size $end", true],
  proxy_on_downstream_connection_close: ["$id $peer", false],
  proxy_on_upstream_data: ["$id $size $end", true],
  proxy_on_upstream_connection_close: ["$id $peer", false],
  proxy_on_request_headers: ["$id $count $end", true],
  proxy_on_request_body: ["$id $size $end", true],
  proxy_on_request_trailers: ["$id $count", true],
  proxy_on_response_headers: ["$id $count $end", true],
  proxy_on_response_body: ["$id $size $end", true],
  proxy_on_response_trailers: ["$id $count", true],
  proxy_on_http_call_response: ["$id $token $headers $size $trailers", false],
  proxy_on_grpc_receive_initial_metadata: ["$id $token $count", false],
  proxy_on_grpc_receive: ["$id $token $size", false],
  proxy_on_grpc_receive_trailing_metadata: ["$id $token $count", false],
  proxy_on_grpc_close: ["$id $token $code", false],
  proxy_on_queue_ready: ["$id $token", false],
};

/** A page beyond what the guest's memory has. */
export const outside = "(i32.const 0x7fff0000)";
/** Where hostcalls write a pointer and a size; `$tell` logs what lies there. */
export const out = "(i32.const 0) (i32.const 4)";
/** Another place of 8 bytes. */
export const cell = "(i32.const 8)";
/** Takes a status away. */
export const drop = (call: string): string => `(drop ${call})`;
/** Logs the number that the call answers. */
export const say = (call: string): string => `(call $say ${call})`;
/** Logs the bytes whose place was written to `out`. */
export const tell = "(call $tell)";

/** Places text in the guest's memory and gives its pointer and size as two constants. */
export type PlaceText = (text: string) => string;

export interface GuestText {
  /** In place of the 0.2.1 marker. */
  readonly marker?: string;
  /** Bodies of callbacks, by name; those that answer must leave an i32. */
  readonly on: Readonly<Record<string, string>>;
  /** More fields of the module: functions, globals. */
  readonly fields?: string;
  /** More imports. */
  readonly imports?: string;
  /** In place of the allocator that never frees. */
  readonly malloc?: string;
  readonly pages?: string;
}

/** The text of a guest. Its memory: `out` at 0, `cell` at 8, texts from 1024 on, allocated from 32768 on. */
export function guestText(build: (text: PlaceText) => GuestText): string {
  const data: string[] = [];
  let at = 1024;
  const guest = build((text) => {
    const bytes = Buffer.from(text, "latin1");
    const place = `(i32.const ${at}) (i32.const ${bytes.length})`;
    data.push(
      `(data (i32.const ${at}) "${[...bytes].map((byte) => `\\${byte.toString(16).padStart(2, "0")}`).join("")}")`,
    );
    at += bytes.length;
    return place;
  });
  const imports = Object.entries(hostcalls).map(
    ([name, count]) => `(import "env" "${name}" (func $${name} ${"(param i32)".repeat(count)} (result i32)))`,
  );
  const functions = Object.entries(guest.on).map(([name, body]) => {
    const [parameters, answers] = callbacks[name] ?? ["", false];
    const declared = parameters.split(" ").filter((one) => one !== "");
    const signature = declared.map((one) => `(param ${one} i32)`).join(" ");
    return `(func (export "${name}") ${signature} ${answers ? "(result i32)" : ""} ${body})`;
  });
  return `(module
    ${imports.join("\n")}
    (import "env" "proxy_record_metric" (func $proxy_record_metric (param i32 i64) (result i32)))
    (import "env" "proxy_increment_metric" (func $proxy_increment_metric (param i32 i64) (result i32)))
    ${guest.imports ?? ""}
    (memory (export "memory") ${guest.pages ?? "2"})
    (global $top (mut i32) (i32.const 32768))
    ${data.join("\n")}
    (func (export "${guest.marker ?? "proxy_abi_version_0_2_1"}"))
    ${guest.malloc ?? bumpAllocator}
    ${logging}
    ${guest.fields ?? ""}
    ${functions.join("\n")})`;
}

const bumpAllocator = `
  (func $malloc (export "malloc") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $top))
    (global.set $top (i32.add (global.get $top) (local.get $size)))
    (local.get $at))`;

/** \`$say\` logs a number in decimal, from its digits written backwards before address 512. */
const logging = `
  (func $say (param $number i32)
    (local $at i32)
    (local.set $at (i32.const 512))
    (loop $digits
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
      (local.set $number (i32.div_u (local.get $number) (i32.const 10)))
      (br_if $digits (local.get $number)))
    (drop (call $proxy_log (i32.const 2) (local.get $at) (i32.sub (i32.const 512) (local.get $at)))))
  (func $tell
    (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 0)) (i32.load (i32.const 4)))))`;
