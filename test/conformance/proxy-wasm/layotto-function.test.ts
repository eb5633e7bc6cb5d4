/** Guests that are functions as Layotto has them: they give themselves an id and answer through the buffer of the response body. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { drop, out, type PlaceText, say } from "../../support/proxy-wasm-guest.ts";
import { type StartOptions, startText, TestBody, TestServices, TestStream } from "../../support/proxy-wasm-host.ts";

const giveId = (id: string): string =>
  drop(`(call $proxy_set_buffer_bytes (i32.const 8) (i32.const 0) (i32.const 4) ${id})`);
const getRequestBody = drop(`(call $proxy_get_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 100000) ${out})`);
/** Answers with what lies at `out`. */
const answerIt = drop(
  "(call $proxy_set_buffer_bytes (i32.const 1) (i32.const 0) (i32.const 0) (i32.load (i32.const 0)) (i32.load (i32.const 4)))",
);

/** A function of the id `id_1` that answers with the body of the request. */
const start = (
  build: (text: PlaceText) => Record<string, string> = () => ({}),
  { services = new TestServices(), kind = "service", ...options }: StartOptions = {},
) =>
  startText(
    (text) => ({
      on: {
        proxy_get_id: giveId(text("id_1")),
        proxy_on_request_body: `${getRequestBody} ${answerIt} (i32.const 0)`,
        ...build(text),
      },
    }),
    { services, kind, ...options },
  );

const request = (path: string): TestStream =>
  new TestStream([
    [":method", "GET"],
    [":path", path],
  ]);

const answerOf = ({ replies }: TestStream): string => {
  const [reply] = replies;
  assert.equal(replies.length, 1);
  return `${reply?.status} ${Buffer.from(reply?.body ?? []).toString()}`;
};

describe("the id of a guest", () => {
  it("is asked for before its root context is made, and shortened when it is endless", async () => {
    await using guest = await start((text) => ({
      proxy_get_id: `${say("(i32.const 1)")} ${giveId(text("id_1"))}`,
      proxy_on_context_create: say("(i32.const 2)"),
    }));
    assert.equal(guest.instance.reportedId, "id_1");
    assert.deepEqual(guest.services.lines, ["1", "2"]);
    await using talker = await start((text) => ({ proxy_get_id: giveId(text("x".repeat(500))) }));
    assert.equal(talker.instance.reportedId.length, 128);
  });

  it("is empty for all others, and cannot be given at another time", async () => {
    await using guest = await startText((text) => ({
      on: {
        proxy_on_vm_start: `${say(`(call $proxy_set_buffer_bytes (i32.const 8) (i32.const 0) (i32.const 4) ${text("id_1")})`)} (i32.const 1)`,
      },
    }));
    assert.equal(guest.instance.reportedId, "");
    assert.deepEqual(guest.services.lines, ["1"]);
  });
});

for (const suspends of [false, true]) {
  describe(`a function that ${suspends ? "suspends" : "does not suspend"}`, () => {
    /** Resolves when the function has answered. */
    const answered = (stream: TestStream): Promise<void> => stream.saw("respond");

    it("answers with what it wrote, the query string in place of a body that there is not", async () => {
      await using guest = await start(() => ({}), { suspends });
      const stream = request("/?name=book1");
      assert.equal(guest.instance.open(stream).requestHeaders(true), suspends ? "suspended" : "pause");
      await answered(stream);
      assert.equal(answerOf(stream), "200 name=book1");
    });

    it("is shown the whole body at once, however it comes", async () => {
      await using guest = await start(() => ({}), { suspends });
      const stream = request("/?name=book1");
      const filter = guest.instance.open(stream);
      filter.requestHeaders(false);
      for (const [text, isLast] of [
        ["one ", false],
        ["two ", false],
        ["three", true],
      ] as const) {
        stream.bodies.request = new TestBody(text);
        filter.requestBody(isLast);
        assert.equal(stream.bodies.request.length, 0, "nothing lies behind the function");
      }
      await answered(stream);
      assert.equal(answerOf(stream), "200 one two three");
    });

    it("is shown the body when trailers end it", async () => {
      await using guest = await start(() => ({}), { suspends });
      const stream = request("/");
      const filter = guest.instance.open(stream);
      filter.requestHeaders(false);
      stream.bodies.request = new TestBody("body");
      filter.requestBody(false);
      filter.requestTrailers();
      await answered(stream);
      assert.equal(answerOf(stream), "200 body");
    });
  });
}

describe("a function", () => {
  it("may answer by a local response as well, once", async () => {
    await using guest = await start((text) => ({
      proxy_on_request_headers: `${drop(
        `(call $proxy_send_local_response (i32.const 404) (i32.const 0) (i32.const 0) ${text("none")} (i32.const 0) (i32.const 0) (i32.const -1))`,
      )} (i32.const 0)`,
      proxy_on_request_body: "unreachable",
    }));
    const stream = request("/");
    guest.instance.open(stream).requestHeaders(true);
    assert.equal(answerOf(stream), "404 none");
    assert.deepEqual(guest.lost, []);
  });

  it("that pauses answers when it goes on", async () => {
    await using guest = await start(() => ({
      proxy_on_request_body: `${getRequestBody} ${answerIt} ${drop("(call $proxy_set_tick_period_milliseconds (i32.const 10))")} (i32.const 1)`,
      proxy_on_tick: `${drop("(call $proxy_set_tick_period_milliseconds (i32.const 0))")}
        ${drop("(call $proxy_set_effective_context (i32.const 2))")} ${drop("(call $proxy_continue_stream (i32.const 0))")}`,
    }));
    const stream = request("/?later");
    assert.equal(guest.instance.open(stream).requestHeaders(true), "pause");
    assert.deepEqual(stream.replies, []);
    await stream.saw("respond");
    assert.equal(answerOf(stream), "200 later");
  });

  it("is not shown a body of more than a megabyte", async () => {
    await using guest = await start(() => ({ proxy_on_request_body: "unreachable" }));
    const stream = request("/");
    const filter = guest.instance.open(stream);
    filter.requestHeaders(false);
    for (const isLast of [false, true]) {
      stream.bodies.request = new TestBody("x".repeat(600_000));
      filter.requestBody(isLast);
    }
    assert.equal(answerOf(stream), "413 ");
    assert.deepEqual(guest.lost, []);
  });

  it("gets no callbacks of its response, and is told the end", async () => {
    await using guest = await start(() => ({
      proxy_on_response_headers: "unreachable",
      proxy_on_done: `${say("(local.get $id)")} (i32.const 1)`,
    }));
    const stream = request("/");
    const filter = guest.instance.open(stream);
    filter.requestHeaders(true);
    assert.equal(filter.responseHeaders(false), "continue");
    assert.equal(filter.responseBody(true), "continue");
    filter.end();
    assert.deepEqual(guest.services.lines, ["2"]);
  });

  it("of kind filter is a filter like any other", async () => {
    await using guest = await start((_) => ({ proxy_on_request_body: "(i32.const 0)" }), { kind: "filter" });
    const stream = request("/?name=book1");
    assert.equal(guest.instance.open(stream).requestHeaders(true), "continue");
    assert.deepEqual(stream.replies, []);
  });

  it("that traps fails its stream", async () => {
    await using guest = await start(() => ({ proxy_on_request_body: "unreachable" }));
    const stream = request("/");
    guest.instance.open(stream).requestHeaders(true);
    assert.equal(stream.error?.fault, "trap");
    assert.deepEqual(stream.replies, []);
  });
});
