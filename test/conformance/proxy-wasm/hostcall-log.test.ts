import assert from "node:assert/strict";
import { it } from "node:test";
import { drop, out, outside } from "../../support/proxy-wasm-guest.ts";
import { startText, TestStream } from "../../support/proxy-wasm-host.ts";

it("hostcalls that do not answer OK are logged when the manifest asks for it, with what they were about and where", async () => {
  for (const logsHostcalls of [true, false]) {
    await using guest = await startText(
      (text) => ({
        on: {
          proxy_on_vm_start: `${drop(`(call $proxy_get_property ${text("route_metadata\0filter\0a")} ${out})`)} (i32.const 1)`,
          proxy_on_request_headers: [
            drop(`(call $proxy_get_header_map_value (i32.const 0) ${text("x-none")} ${out})`),
            drop(`(call $proxy_get_header_map_value (i32.const 0) ${text(":method")} ${out})`),
            drop(`(call $proxy_get_header_map_value (i32.const 0) ${outside} (i32.const 1) ${out})`),
            drop(`(call $proxy_get_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 1) ${out})`),
            "(i32.const 0)",
          ].join("\n"),
        },
      }),
      { logsHostcalls },
    );
    guest.instance.open(new TestStream()).requestHeaders(true);
    const lines = [
      "proxy_get_property answered NOT_FOUND for 'route_metadata.filter.a' in proxy_on_vm_start of context 1",
      "proxy_get_header_map_value answered NOT_FOUND for 'x-none' in proxy_on_request_headers of context 2",
      "proxy_get_header_map_value answered INVALID_MEMORY_ACCESS for what lies outside the memory in proxy_on_request_headers of context 2",
      "proxy_get_buffer_bytes answered NOT_FOUND in proxy_on_request_headers of context 2",
    ];
    assert.deepEqual(guest.services.lines, logsHostcalls ? lines : []);
  }
});
