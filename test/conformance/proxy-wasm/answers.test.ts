/** The numbers with which callbacks answer, as the C++ library has them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { supportedVersions } from "../../../runtime/proxy-wasm/abi.ts";
import { say } from "../../support/proxy-wasm-guest.ts";
import { type StartOptions, startText, TestBody, TestFields, TestStream } from "../../support/proxy-wasm-host.ts";

/** Answers with the number everywhere; gives what the data plane is told, and the bodies afterwards. */
async function answering(version: string, number: number, options?: StartOptions) {
  const names = ["headers", "body", "trailers"].flatMap((part) => [`request_${part}`, `response_${part}`]);
  const marker = `proxy_abi_version_${version.replaceAll(".", "_")}`;
  const on = Object.fromEntries(names.map((name) => [`proxy_on_${name}`, `(i32.const ${number})`]));
  await using guest = await startText(() => ({ marker, on }), options);
  const stream = new TestStream();
  stream.maps["response-headers"] = new TestFields([[":status", "200"]]);
  stream.bodies.request = new TestBody("ask");
  stream.bodies.response = new TestBody("answer");
  const filter = guest.instance.open(stream);
  return {
    headers: [filter.requestHeaders(false), filter.responseHeaders(false)],
    body: [filter.requestBody(false), filter.responseBody(false)],
    bodies: [stream.bodies.request.text, stream.bodies.response.text],
    trailers: [filter.requestTrailers(), filter.responseTrailers()],
  };
}

const both = (action: string): string[] => [action, action];

for (const version of supportedVersions)
  describe(`the answers of a guest of ABI ${version}`, () => {
    it("to headers let go on by 0 and 2, hold by 1, 4 and beyond, and gather what follows by 3", async () => {
      const expected = { 0: "continue", 1: "pause", 2: "continue", 3: "buffer", 4: "pause", 5: "pause", [-1]: "pause" };
      for (const [number, action] of Object.entries(expected))
        assert.deepEqual((await answering(version, Number(number))).headers, both(action), number);
    });

    it("to bodies let go on by 0, keep in sight by 1 and out of sight by 2, and drop by 3 and beyond", async () => {
      const kept = ["ask", "answer"];
      const expected = { 0: kept, 1: kept, 2: kept, 3: ["", ""], 4: ["", ""], [-1]: ["", ""] };
      for (const [number, bodies] of Object.entries(expected)) {
        const answers = await answering(version, Number(number));
        const action = { 0: "continue", 2: "watermark" }[number] ?? "pause";
        assert.deepEqual([answers.body, answers.bodies], [both(action), bodies], number);
      }
    });

    it("to trailers let go on by 0 alone", async () => {
      for (const number of [0, 1, 2, -1])
        assert.deepEqual((await answering(version, number)).trailers, both(number === 0 ? "continue" : "pause"));
    });

    it("may hold the headers alone by 1, when the manifest lets them", async () => {
      const options = { showsBodyOfHeldHeaders: true };
      for (const number of [0, 1, 2, 3, 4]) {
        const { headers, body } = await answering(version, number, options);
        const [heads, bodies] = [
          ["continue", "hold", "continue", "buffer", "pause"],
          ["continue", "pause", "watermark", "pause", "pause"],
        ];
        assert.deepEqual([headers, body], [both(heads[number] ?? ""), both(bodies[number] ?? "")]);
      }
    });
  });

describe("headers that are held alone", () => {
  const hold = (call = "") =>
    ({ proxy_on_request_headers: `${call} (i32.const 1)`, proxy_on_response_headers: "(i32.const 0)" }) as const;

  it("go on when the guest says so in the callback, and later", async () => {
    const goOn = say("(call $proxy_continue_stream (i32.const 0))");
    await using guest = await startText(() => ({ on: hold(goOn) }), { showsBodyOfHeldHeaders: true });
    assert.equal(guest.instance.open(new TestStream()).requestHeaders(false), "continue");
    await using later = await startText(
      () => ({ on: { ...hold(), proxy_on_response_headers: `${goOn} (i32.const 0)` } }),
      { showsBodyOfHeldHeaders: true },
    );
    const stream = new TestStream();
    const filter = later.instance.open(stream);
    assert.equal(filter.requestHeaders(false), "hold");
    filter.responseHeaders(false);
    assert.deepEqual(stream.events, ["resume request"]);
  });

  it("are settled so by a guest that suspends", async () => {
    await using guest = await startText(() => ({ on: hold() }), { showsBodyOfHeldHeaders: true, suspends: true });
    const stream = new TestStream();
    assert.equal(guest.instance.open(stream).requestHeaders(false), "suspended");
    await stream.saw("settle");
    assert.deepEqual(stream.events, ["settle hold"]);
  });
});
