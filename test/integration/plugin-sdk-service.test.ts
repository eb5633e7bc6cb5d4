import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as api from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { TestFields, TestStream } from "../support/proxy-wasm-host.ts";
import { ask, bodyOf, shown, startPlugin } from "./plugin-sdk-guest.ts";
import { SmallRuntime } from "./plugin-sdk-runtime.ts";
import { deskGuest, testPlugin } from "./plugin-sdk-scene.ts";

describe("a service of the guest library", () => {
  test("keeps state through the runtime, and learns of conflicts and failures", async () => {
    await using guest = await deskGuest(new SmallRuntime(["stock"]).services());
    assert.deepEqual(JSON.parse((await ask(guest, "GET", "/state")).text), {
      missing: false,
      saved: "OK",
      read: "1",
      over: "OK",
      stale: "ABORTED: the etag of 'apple' does not match",
      ttl: "OK",
      moved: "OK",
      all: { apple: "6", pear: "", plum: "5" },
      removed: "OK",
      removedAll: "OK",
      gone: true,
      unknown: "INVALID_ARGUMENT: state store 'nowhere' is not configured",
    });
  });

  test("uses every other building block of the runtime", async () => {
    const runtime = new SmallRuntime([]);
    await using guest = await deskGuest(runtime.services());
    assert.deepEqual(JSON.parse((await ask(guest, "GET", "/blocks")).text), {
      hello: "hello desk",
      published: "OK",
      publishedJson: "OK",
      locked: true,
      lockedAgain: false,
      kept: 0,
      notMine: 2,
      unlocked: 0,
      next: 1,
      weak: true,
      set: "OK",
      colour: "green",
      unset: "OK",
      invoked: "shop /orders 3 dry=1 {} application/json",
      called: "billing /shop.Billing/Charge   5",
      verb: "INVALID_ARGUMENT: there is no HTTP verb 'FETCH'",
    });
    assert.deepEqual(
      runtime.published.map(({ topic, data, dataContentType }) => [
        topic,
        Buffer.from(data).toString(),
        dataContentType,
      ]),
      [
        ["sold", "an apple", "text/plain"],
        ["sold", '{"sku":"apple"}', "application/json"],
      ],
    );
  });

  test("is told when the host does not know a function", async () => {
    await using guest = await deskGuest();
    const answer = await ask(guest, "POST", "/foreign/nothing", "x");
    assert.match(answer.text, /^UNIMPLEMENTED: .*'nothing'/);
  });

  test("gets a whole request, decoded", async () => {
    await using guest = await deskGuest();
    const answer = await ask(guest, "PUT", "/request/a%20b//c%e4?x=1&q=a+b%2B", "hällo");
    assert.equal(answer.headers["x-desk"], "open");
    assert.deepEqual(JSON.parse(answer.text), {
      method: "PUT",
      path: "/request/a%20b//c%e4",
      segments: ["request", "a b", "cä"],
      query: "a b+",
      body: "hällo",
    });
  });

  test("reads a body that comes in pieces, or ends with trailers", async () => {
    await using guest = await deskGuest();
    const stream = new TestStream([
      [":method", "POST"],
      [":path", "/text"],
    ]);
    const filter = guest.instance.open(stream);
    await shown(stream, () => filter.requestHeaders(false));
    stream.bodies.request = bodyOf("one ");
    assert.equal(await shown(stream, () => filter.requestBody(false)), "pause");
    stream.bodies.request = bodyOf("one two");
    assert.equal(await shown(stream, () => filter.requestBody(false)), "pause");
    stream.maps["request-trailers"] = new TestFields([["x-sum", "1"]]);
    await shown(stream, () => filter.requestTrailers());
    assert.equal(stream.replies[0]?.status, 200);
    assert.equal(Buffer.from(stream.replies[0]?.body ?? []).toString(), "one two");
  });

  test("reads and writes JSON as JSON.parse and JSON.stringify do", async () => {
    await using guest = await deskGuest();
    const value = { a: [1, -2500, 0.125, true, false, null, 'ä\n😀"\\\u0001'], b: {}, c: [], "": { x: 1e300 } };
    const answer = await ask(guest, "POST", "/json", JSON.stringify(value));
    assert.deepEqual(JSON.parse(answer.text), value);
    const escaped = await ask(guest, "POST", "/json", ' { "a" : "\\u00e4\\/" } ');
    assert.deepEqual(JSON.parse(escaped.text), { a: "ä/" });
  });

  test("tells what is wrong with a text that is not JSON", async () => {
    await using guest = await deskGuest();
    const texts = [" ", "{", '{"a"}', "[1,]", "01", "1.", "-", '"\\x"', '"a', "nul", "{} x", '"\n"', "[".repeat(1000)];
    for (const text of texts) {
      assert.throws(() => JSON.parse(text));
      const answer = await ask(guest, "POST", "/json", text);
      assert.match(`${answer.status} ${answer.text}`, /^400 not JSON: .* at character \d+$/, text);
    }
  });

  test("keeps bytes that are not UTF-8", async () => {
    await using guest = await deskGuest();
    assert.equal((await ask(guest, "POST", "/text", Uint8Array.of(0xff, 0x41))).text, "ÿA");
    assert.deepEqual([...(await ask(guest, "POST", "/latin1", "ä")).bytes], [0xe4]);
  });

  test("calls the runtime eight thousand times in 256 KiB", async () => {
    const services = new SmallRuntime([]).services();
    await using guest = await startPlugin(await testPlugin(), {
      kind: "service",
      rootId: "desk",
      services,
      memoryBytes: 256 << 10,
    });
    const request = api.SayHelloRequest.encode({ serviceName: "", name: "x".repeat(500), data: undefined }).finish();
    for (let turn = 0; turn < 8_000; turn++) {
      const answer = await ask(guest, "POST", "/foreign/%2Fspec.proto.runtime.v1.Runtime%2FSayHello", request);
      assert.equal(answer.status, 200, answer.text);
    }
  });
});
