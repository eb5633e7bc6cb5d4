import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cell, drop, out, type PlaceText } from "../../support/proxy-wasm-guest.ts";
import { startText, TestStream } from "../../support/proxy-wasm-host.ts";

const milliseconds = 5;

/** How often a guest gets to do it in one callback, on fuel for 5 ms; it counts in a metric. */
async function timesOf(build: (text: PlaceText) => string): Promise<number> {
  await using guest = await startText(
    (text) => ({
      on: {
        proxy_on_request_headers: `
          ${drop(`(call $proxy_define_metric (i32.const 1) ${text("times")} ${cell})`)}
          (loop $more
            ${drop(`(call $proxy_increment_metric (i32.load ${cell}) (i64.const 1))`)}
            ${drop(build(text))}
            (br $more)) (i32.const 0)`,
      },
    }),
    { fuelPerCall: milliseconds * 1_000_000 },
  );
  guest.instance.open(new TestStream()).requestHeaders(true);
  assert.equal(guest.lost[0]?.fault, "fuel");
  return guest.services.series[0]?.value ?? assert.fail("it counted");
}

describe("what hostcalls cost a guest", () => {
  it("is more than the call where the host keeps something", async () => {
    const share = (value: string) =>
      timesOf((text) => `(call $proxy_set_shared_data ${text("k")} ${value} (i32.const 0))`);
    const little = await share("(i32.const 0) (i32.const 1)");
    assert.ok(little <= 400 * milliseconds);
    assert.ok((await share("(i32.const 0) (i32.const 1000)")) < little);
    const registered = await timesOf((text) => `(call $proxy_register_shared_queue ${text("q")} ${out})`);
    assert.ok(registered <= 400 * milliseconds);
  });

  it("is by the line and its length where it logs", async () => {
    const log = (length: number) =>
      timesOf(() => `(call $proxy_log (i32.const 2) (i32.const 0) (i32.const ${length}))`);
    const short = await log(1);
    assert.ok(short <= 100 * milliseconds);
    assert.ok((await log(2_000)) < short / 3);
  });

  it("is by how deep an expression nests, though it is none", async () => {
    const create = (expression: string) =>
      timesOf((text) => `(call $proxy_call_foreign_function ${text("expr_create")} ${text(expression)} ${out})`);
    assert.ok((await create("+")) <= 20 * milliseconds);
    assert.ok((await create(`${"(".repeat(60)}a`)) <= 1);
  });
});
