import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cell, drop, out, type PlaceText } from "../../support/proxy-wasm-guest.ts";
import { startText, TestStream } from "../../support/proxy-wasm-host.ts";

/** Whether a guest may do it so often in one callback, on fuel for 5 ms. */
async function affords(times: number, build: (text: PlaceText) => string): Promise<boolean> {
  await using guest = await startText(
    (text) => ({
      fields: "(global $left (mut i32) (i32.const 0))",
      on: {
        proxy_on_request_headers: `
          (global.set $left (i32.const ${times}))
          (loop $more
            ${drop(build(text))}
            (global.set $left (i32.sub (global.get $left) (i32.const 1)))
            (br_if $more (global.get $left))) (i32.const 0)`,
      },
    }),
    { fuelPerCall: 5_000_000 },
  );
  guest.instance.open(new TestStream()).requestHeaders(true);
  if (guest.lost.length > 0) assert.equal(guest.lost[0]?.fault, "fuel");
  return guest.lost.length === 0;
}

describe("what hostcalls cost a guest", () => {
  it("is more than the call where the host keeps something", async () => {
    const share = (times: number, length: number) =>
      affords(
        times,
        (text) => `(call $proxy_set_shared_data ${text("k")} (i32.const 0) (i32.const ${length}) (i32.const 0))`,
      );
    assert.deepEqual([await share(1_500, 1), await share(1_500, 1_000), await share(2_500, 1)], [true, false, false]);
    const register = (times: number) =>
      affords(times, (text) => `(call $proxy_register_shared_queue ${text("q")} ${cell})`);
    assert.deepEqual([await register(1_500), await register(2_500)], [true, false]);
  });

  it("is by the line and its length where it logs", async () => {
    const log = (times: number, length: number) =>
      affords(times, () => `(call $proxy_log (i32.const 2) (i32.const 0) (i32.const ${length}))`);
    assert.deepEqual([await log(300, 1), await log(300, 2_000), await log(600, 1)], [true, false, false]);
  });

  it("is by how deep an expression nests, though it is none", async () => {
    const create = (times: number, expression: string) =>
      affords(times, (text) => `(call $proxy_call_foreign_function ${text("expr_create")} ${text(expression)} ${out})`);
    const nested = `${"(".repeat(60)}a`;
    assert.deepEqual([await create(20, "+"), await create(100, "+"), await create(1, nested)], [true, false, false]);
  });
});
