/** What guests give as places in their memory: a status or nothing for those that are not there, never a failure of the host. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodePairs, readPairs } from "../../../runtime/proxy-wasm/pairs.ts";
import { drop, hostcalls, say, tell } from "../../support/proxy-wasm-guest.ts";
import { startText, TestStream } from "../../support/proxy-wasm-host.ts";

const lastByte = 2 * 65_536 - 1;
const places = [-1, -4, 0x7fff0000, -0x80000000, lastByte, lastByte - 2];

/** What the guest logs when it makes the calls in a stream's first callback; it must outlive them. */
async function run(calls: readonly string[], stream = new TestStream()): Promise<readonly string[]> {
  await using guest = await startText(
    () => ({ on: { proxy_on_request_headers: `${calls.join("\n")} (i32.const 0)` } }),
    { fuelPerCall: 50_000_000 },
  );
  guest.instance.open(stream).requestHeaders(true);
  assert.deepEqual(guest.lost, []);
  return guest.services.lines;
}

const call = (name: string, parameters: readonly number[]): string =>
  `(call $${name} ${parameters.map((one) => `(i32.const ${one})`).join(" ")})`;

describe("places outside the memory", () => {
  it("have a status of every hostcall, whichever parameter they are", async () => {
    for (const [name, count] of Object.entries(hostcalls)) {
      const harmless = Array.from({ length: count }, () => 0);
      const lists = places.flatMap((place) => [
        harmless.map(() => place),
        ...harmless.map((_, index) => harmless.with(index, place)),
      ]);
      const lines = await run(lists.map((list) => say(call(name, list))));
      const answers = lines.slice(-lists.length).map(Number);
      assert.ok(
        answers.every((answer) => answer >= 0 && answer <= 12),
        `${name}: ${answers}`,
      );
    }
  });

  it("are not written to, even in part", async () => {
    const byteAt = say(`(i32.load8_u (i32.const ${lastByte}))`);
    const lines = await run([
      `(i32.store8 (i32.const ${lastByte}) (i32.const 77))`,
      say(call("proxy_get_current_time_nanoseconds", [lastByte - 6])),
      say(call("proxy_get_log_level", [lastByte - 2])),
      say(call("proxy_get_header_map_size", [0, lastByte])),
      say(call("proxy_get_header_map_pairs", [0, 0, lastByte])),
      byteAt,
    ]);
    assert.deepEqual(lines, ["6", "6", "6", "6", "77"]);
  });
});

describe("places in the memory", () => {
  it("may be at any address", async () => {
    const lines = await run([
      say(call("proxy_get_header_map_pairs", [0, 1, 6])),
      `(i32.store (i32.const 0) (i32.load (i32.const 1))) ${say("(i32.load (i32.const 6))")}`,
      say(call("proxy_get_log_level", [lastByte - 3])),
      say(`(i32.load (i32.const ${lastByte - 3}))`),
      say(call("proxy_get_current_time_nanoseconds", [13])),
      say("(i64.gt_u (i64.load (i32.const 13)) (i64.const 1600000000000000000))"),
    ]);
    assert.deepEqual(lines, ["0", "24", "0", "1", "0", "1"]);
  });

  it("may be one and the same for all that is given", async () => {
    const lines = await run([say(call("proxy_get_header_map_pairs", [0, 16, 16])), say("(i32.load (i32.const 16))")]);
    assert.deepEqual(lines, ["0", "24"]);
  });

  it("may have no length at the very end", async () => {
    const lines = await run([
      say(call("proxy_log", [2, lastByte + 1, 0])),
      say(call("proxy_log", [2, lastByte + 2, 0])),
    ]);
    assert.deepEqual(lines, ["", "0", "6"]);
  });
});

describe("pairs", () => {
  const replaced = async (bytes: Uint8Array) => {
    const stream = new TestStream([["kept", "1"]]);
    const at = 200_000;
    const hex = [...bytes].map((byte) => `\\${byte.toString(16).padStart(2, "0")}`).join("");
    await using guest = await startText(
      () => ({
        pages: "32",
        fields: `(data (i32.const ${at}) "${hex}")`,
        on: {
          proxy_on_request_headers: `${say(call("proxy_set_header_map_pairs", [0, at, bytes.byteLength]))} (i32.const 0)`,
        },
      }),
      { fuelPerCall: 50_000_000 },
    );
    guest.instance.open(stream).requestHeaders(true);
    assert.deepEqual(guest.lost, []);
    return { status: guest.services.lines.join(), fields: stream.maps["request-headers"]?.size };
  };
  const many = (count: number) => Array.from({ length: count }, (_, index) => [`n${index}`, "v"] as const);

  it("are at most 1024, and at most 1 MiB", async () => {
    assert.deepEqual(await replaced(encodePairs(many(1024))), { status: "0", fields: 1024 });
    assert.deepEqual(await replaced(encodePairs(many(1025))), { status: "2", fields: 1 });
    const long = encodePairs([["n", "v".repeat(1 << 20)]]);
    assert.equal(readPairs(Buffer.from(long), 0, long.byteLength), undefined);
  });

  it("are refused when they are cut off anywhere, or have more behind them", async () => {
    const whole = encodePairs([
      ["one", "1"],
      ["two", "2"],
    ]);
    for (let length = 4; length < whole.byteLength; length += 3)
      assert.deepEqual(await replaced(whole.subarray(0, length)), { status: "2", fields: 1 }, `${length} bytes`);
    assert.deepEqual(await replaced(Buffer.concat([whole, Buffer.of(1)])), { status: "2", fields: 1 });
  });

  it("are none in the three ways to say so", async () => {
    for (const bytes of [[], [0], [0, 0, 0, 0]])
      assert.deepEqual(await replaced(Uint8Array.from(bytes)), { status: "0", fields: 0 });
  });
});

it("what hostcalls write is charged and bounded when a guest asks for it without end", async () => {
  await using guest = await startText(() => ({
    on: {
      proxy_on_request_headers: `(loop $more ${drop(call("proxy_get_header_map_pairs", [0, 0, 4]))} ${tell} (br $more)) (i32.const 0)`,
    },
  }));
  const stream = new TestStream([["x", "v".repeat(1000)]]);
  assert.equal(guest.instance.open(stream).requestHeaders(true), "pause");
  assert.equal(guest.lost.length, 1);
});
