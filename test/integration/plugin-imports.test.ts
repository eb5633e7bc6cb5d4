/** Plugins of the AssemblyScript library ask a host for nothing but the ABI 0.2.1, so that they run in Envoy, too. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, describe, test } from "node:test";
import { pluginExamples } from "../support/plugin-examples.ts";
import { type CrossingFunction, crossingFunctions } from "../support/wasm-signatures.ts";
import { builtPlugin, compilePlugin } from "./plugin-sdk-guest.ts";

const i32 = (count: number, result = "i32"): string =>
  `${Array.from({ length: count }, () => "i32").join(" ")} -> ${result}`;

/** The hostcalls of https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1, of module `env`. */
const hostcalls: Readonly<Record<string, string>> = {
  proxy_done: i32(0),
  proxy_set_effective_context: i32(1),
  proxy_log: i32(3),
  proxy_get_log_level: i32(1),
  proxy_get_current_time_nanoseconds: i32(1),
  proxy_set_tick_period_milliseconds: i32(1),
  proxy_get_buffer_bytes: i32(5),
  proxy_set_buffer_bytes: i32(5),
  proxy_get_buffer_status: i32(3),
  proxy_get_header_map_size: i32(2),
  proxy_get_header_map_pairs: i32(3),
  proxy_set_header_map_pairs: i32(3),
  proxy_get_header_map_value: i32(5),
  proxy_add_header_map_value: i32(5),
  proxy_replace_header_map_value: i32(5),
  proxy_remove_header_map_value: i32(3),
  proxy_send_local_response: i32(8),
  proxy_continue_stream: i32(1),
  proxy_close_stream: i32(1),
  proxy_http_call: i32(10),
  proxy_grpc_call: i32(12),
  proxy_grpc_stream: i32(9),
  proxy_grpc_send: i32(4),
  proxy_grpc_cancel: i32(1),
  proxy_grpc_close: i32(1),
  proxy_get_status: i32(3),
  proxy_call_foreign_function: i32(6),
  proxy_get_shared_data: i32(5),
  proxy_set_shared_data: i32(5),
  proxy_register_shared_queue: i32(3),
  proxy_resolve_shared_queue: i32(5),
  proxy_enqueue_shared_queue: i32(3),
  proxy_dequeue_shared_queue: i32(3),
  proxy_define_metric: i32(4),
  proxy_increment_metric: "i32 i64 -> i32",
  proxy_record_metric: "i32 i64 -> i32",
  proxy_get_metric: i32(2),
  proxy_get_property: i32(4),
  proxy_set_property: i32(4),
};

/** The callbacks of that ABI, an allocator, and what starts a module. */
const callbacks: Readonly<Record<string, string>> = {
  _initialize: i32(0, ""),
  proxy_abi_version_0_2_1: i32(0, ""),
  malloc: i32(1),
  proxy_on_memory_allocate: i32(1),
  proxy_on_context_create: i32(2, ""),
  proxy_on_vm_start: i32(2),
  proxy_validate_configuration: i32(2),
  proxy_on_configure: i32(2),
  proxy_on_tick: i32(1, ""),
  proxy_on_done: i32(1),
  proxy_on_log: i32(1, ""),
  proxy_on_delete: i32(1, ""),
  proxy_on_request_headers: i32(3),
  proxy_on_request_body: i32(3),
  proxy_on_request_trailers: i32(2),
  proxy_on_response_headers: i32(3),
  proxy_on_response_body: i32(3),
  proxy_on_response_trailers: i32(2),
  proxy_on_new_connection: i32(1),
  proxy_on_downstream_data: i32(3),
  proxy_on_downstream_connection_close: i32(2, ""),
  proxy_on_upstream_data: i32(3),
  proxy_on_upstream_connection_close: i32(2, ""),
  proxy_on_http_call_response: i32(5, ""),
  proxy_on_grpc_receive_initial_metadata: i32(3, ""),
  proxy_on_grpc_receive: i32(3, ""),
  proxy_on_grpc_receive_trailing_metadata: i32(3, ""),
  proxy_on_grpc_close: i32(3, ""),
  proxy_on_queue_ready: i32(2, ""),
  proxy_on_foreign_function: i32(3, ""),
};

const byName = (functions: readonly CrossingFunction[]): Record<string, string> =>
  Object.fromEntries(functions.map(({ module, name, signature }) => [`${module}.${name}`, signature]));

describe("the plugins of the AssemblyScript library", () => {
  const modules = new Map<string, Uint8Array>();
  before(async () => {
    for (const plugin of ["inventory", "rate-limit"]) modules.set(plugin, await builtPlugin(plugin));
    modules.set("sdk/test-plugin", await compilePlugin("sdk/test-plugin"));
    for (const { name, module } of await pluginExamples()) modules.set(`sdk/examples/${name}`, await readFile(module));
  });

  test("import hostcalls of the standard only, by their types", () => {
    for (const [plugin, bytes] of modules) {
      const { imports } = crossingFunctions(bytes);
      const standard = imports.map(({ module, name }) => [
        `${module}.${name}`,
        module === "env" ? hostcalls[name] : undefined,
      ]);
      assert.deepEqual(byName(imports), Object.fromEntries(standard), plugin);
    }
  });

  test("export the callbacks of the standard, one marker of its version, and nothing else", () => {
    for (const [plugin, bytes] of modules) {
      const { exports } = crossingFunctions(bytes);
      assert.deepEqual(Object.fromEntries(exports.map(({ name, signature }) => [name, signature])), callbacks, plugin);
    }
  });

  test("call every hostcall there is, in one example or another", () => {
    const called = new Set(
      [...modules.values()].flatMap((bytes) => crossingFunctions(bytes).imports.map(({ name }) => name)),
    );
    assert.deepEqual([...called].sort(), Object.keys(hostcalls).sort());
  });
});
