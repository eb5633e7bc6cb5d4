import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { GrpcStreamReceiver } from "../../runtime/plugin/outside-calls.ts";
import { grpcReply, never, TestFields, TestServices } from "../support/proxy-wasm-host.ts";
import { bodyOf, fieldsOf, startPlugin } from "./plugin-sdk-guest.ts";
import { SmallRuntime } from "./plugin-sdk-runtime.ts";
import { openTour, testPlugin, tourGuest } from "./plugin-sdk-scene.ts";

describe("a filter of the guest library", () => {
  test("reads and changes headers, whatever their bytes", async () => {
    await using guest = await tourGuest();
    const { stream, filter } = openTour(guest, "headers", [
      ["x-twice", "one"],
      ["x-twice", "two"],
      ["x-raw", "\xff\x01"],
      ["x-remove", "gone"],
      ["x-replace-all", "1"],
    ]);
    assert.equal(filter.requestHeaders(true), "continue");
    assert.deepEqual(guest.services.lines, ["count 8, second of twice two", "missing true true", "raw 2 ÿ\u0001"]);
    assert.deepEqual(fieldsOf(stream, "request-headers").slice(3), [
      ["x-twice", "one"],
      ["x-twice", "two"],
      ["x-raw", "\xff\x01"],
      ["x-set", Buffer.from("grüße hi").toString("latin1")],
      ["x-twice", "three"],
      ["x-only", "1"],
    ]);
  });

  test("waits for a whole body, changes it, and changes what comes back", async () => {
    await using guest = await tourGuest();
    const { stream, filter } = openTour(guest, "body");
    filter.requestHeaders(false);
    stream.bodies.request = bodyOf("Hel");
    assert.equal(filter.requestBody(false), "pause");
    stream.bodies.request = bodyOf("Hello");
    assert.equal(filter.requestBody(true), "continue");
    assert.equal(stream.bodies.request.text, "> Jello!");
    stream.maps["response-headers"] = new TestFields([
      [":status", "200"],
      ["content-length", "4"],
    ]);
    filter.responseHeaders(false);
    stream.bodies.response = bodyOf("body");
    filter.responseBody(true);
    assert.equal(stream.bodies.response.text, "replaced");
    assert.deepEqual(fieldsOf(stream, "response-headers"), [
      [":status", "200"],
      ["x-tour", "hi"],
    ]);
    filter.end();
    assert.deepEqual(guest.services.lines, ["body 5 5 Hello", "part ell 0", "debug: done with body 200"]);
  });

  test("changes trailers in both directions", async () => {
    await using guest = await tourGuest();
    const { stream, filter } = openTour(guest, "trailers");
    filter.requestHeaders(false);
    stream.maps["request-trailers"] = new TestFields([["x-sum", "1"]]);
    filter.requestTrailers();
    stream.maps["response-headers"] = new TestFields([[":status", "200"]]);
    filter.responseHeaders(false);
    stream.maps["response-trailers"] = new TestFields();
    filter.responseTrailers();
    assert.deepEqual(fieldsOf(stream, "request-trailers"), [
      ["x-sum", "1"],
      ["x-request-sum", "seen"],
    ]);
    assert.deepEqual(fieldsOf(stream, "response-trailers"), [["x-response-sum", "seen"]]);
  });

  test("answers in place of what lies behind", async () => {
    await using guest = await tourGuest();
    const { stream, filter } = openTour(guest, "respond");
    assert.equal(filter.requestHeaders(true), "pause");
    assert.deepEqual(stream.replies, [
      {
        status: 418,
        details: "teapot",
        headers: [
          ["x-a", "1"],
          ["x-a", "2"],
        ],
        body: new Uint8Array(Buffer.from("tea ☕")),
        grpcStatus: 9,
      },
    ]);
  });

  test("logs at every level, from the console too, and knows the time", async () => {
    const services = new TestServices();
    services.logLevel = "trace";
    await using guest = await tourGuest(services);
    openTour(guest, "log").filter.requestHeaders(true);
    assert.deepEqual(services.lines, [
      "trace: a trace",
      "debug: a debug",
      "an info",
      "warn: a warning",
      "error: an error",
      "critical: a critical",
      "from the console",
      "error: wrong from the console",
      "error: assertion failed: one above two",
      "trace: traced 1.0, 2.0",
      "level 0",
      "year true",
      "random true",
    ]);
  });

  test("tells why it aborts, and where", async () => {
    await using guest = await tourGuest();
    const { stream, filter } = openTour(guest, "abort");
    filter.requestHeaders(true);
    assert.equal(stream.error?.fault, "trap");
    assert.match(guest.services.lines.join(), /critical: the guest gives up at assembly\/tour\.ts:\d+:\d+/);
  });

  test("counts, gauges and measures", async () => {
    await using guest = await tourGuest();
    openTour(guest, "metrics").filter.requestHeaders(true);
    assert.deepEqual(guest.services.lines, ["seen 3, open 7"]);
    assert.deepEqual(
      guest.services.series.map(({ type, name, value }) => [type, name, value]),
      [
        ["gauge", "tour_open", 7],
        ["counter", "tour_seen", 3],
        ["histogram", "tour_sizes", 512],
      ],
    );
  });

  test("reads properties of every type, and keeps its own", async () => {
    await using guest = await tourGuest();
    const { stream, filter } = openTour(guest, "properties");
    stream.properties
      .set("source.address", "1.2.3.4:5")
      .set("request.size", 99n)
      .set("tour.load", 0.5)
      .set("connection.mtls", false)
      .set("metadata.with.dot", "dots")
      .set("request.headers", [["x-user", "me"]]);
    filter.requestHeaders(true);
    assert.deepEqual(guest.services.lines, [
      "source 1.2.3.4:5",
      "size 99",
      "load 0.5",
      "mtls false",
      "dotted dots",
      "user me",
      "none true 7",
      "kept true",
    ]);
    assert.deepEqual(stream.properties.get("tour.kept"), new Uint8Array(Buffer.from("for later")));
  });

  test("shares data, and notices when somebody else wrote", async () => {
    await using guest = await tourGuest();
    openTour(guest, "shared").filter.requestHeaders(true);
    assert.deepEqual(guest.services.lines, [
      "empty true",
      "first true",
      "second one true",
      "third ABORTED: shared data 'tour': the value was changed in between",
      "now two",
    ]);
  });

  test("asks an upstream over HTTP and goes on when it answers", async () => {
    const services = new TestServices();
    const requests: unknown[] = [];
    services.upstreams.set("backend", async ({ headers, body, trailers }) => {
      requests.push([headers, Buffer.from(body).toString(), trailers]);
      const answer = [
        [":status", "200"],
        ["x-kind", "ok"],
      ] as const;
      return { headers: answer, body: Buffer.from("fine"), trailers: [["t", "1"]] };
    });
    await using guest = await tourGuest(services);
    const { stream, filter } = openTour(guest, "http");
    assert.equal(filter.requestHeaders(true), "pause");
    await stream.saw("resume request");
    assert.deepEqual(services.lines, [
      "unknown NOT_FOUND: there is no upstream 'nowhere', or it is not granted",
      "got 200 fine ok",
      "fields 1 1",
    ]);
    assert.equal(stream.maps["request-headers"]?.get("x-checked"), "yes");
    assert.deepEqual(requests, [
      [
        [
          [":method", "POST"],
          [":path", "/check?user=7"],
          [":authority", "auth.local"],
          ["x-from", "tour"],
          ["content-type", "text/plain; charset=utf-8"],
        ],
        "who?",
        [["x-sum", "1"]],
      ],
    ]);
  });

  test("learns that an upstream did not answer", async () => {
    const services = new TestServices();
    services.upstreams.set("backend", () => Promise.reject(new Error("the connection broke")));
    await using guest = await tourGuest(services);
    const { stream, filter } = openTour(guest, "http");
    filter.requestHeaders(true);
    await stream.saw("respond 502");
  });

  test("asks an upstream over gRPC, and gets the message or why there is none", async () => {
    const services = new TestServices();
    services.upstreams.set("backend", never().answer);
    const requests: unknown[] = [];
    services.methods.set("/shop.Stock/Count", async ({ service, method, metadata, message }) => {
      requests.push([service, method, metadata, Buffer.from(message).toString()]);
      return grpcReply(requests.length === 1 ? { text: "7" } : { code: 5, details: "no pears" });
    });
    await using guest = await tourGuest(services);
    for (let turn = 0; turn < 2; turn++) {
      const { stream, filter } = openTour(guest, "grpc");
      filter.requestHeaders(true);
      await stream.saw("resume request");
    }
    assert.deepEqual(services.lines, ["counted 7", "failed NOT_FOUND: no pears"]);
    assert.deepEqual(requests[0], ["shop.Stock", "Count", [["x-trace", "t1"]], "pears"]);
  });

  test("hands over texts of every length, and looks through fields", async () => {
    await using guest = await tourGuest();
    const { stream, filter } = openTour(guest, "texts");
    assert.equal(filter.requestHeaders(true), "continue");
    assert.deepEqual(guest.services.lines, [
      "long true false",
      "long true",
      ":method=GET,:path=/,x-tour=texts,x-upper=a\ufffdb,x-empty=,6 false",
    ]);
    assert.equal(
      stream.maps["request-headers"]?.get("x-long"),
      Buffer.from(`${"long ".repeat(200)}ü`).toString("latin1"),
    );
  });

  test("talks on a gRPC stream, which ends with the stream that opened it", async () => {
    const services = new TestServices();
    services.upstreams.set("backend", never().answer);
    const seen: string[] = [];
    const receivers: GrpcStreamReceiver[] = [];
    const { promise: opened, resolve } = Promise.withResolvers<void>();
    const { promise: cancelled, resolve: cancel } = Promise.withResolvers<void>();
    services.openStream = ({ service, method, metadata }, receiver) => {
      seen.push(`${service}/${method} ${metadata.join()}`);
      receivers.push(receiver);
      resolve();
      return {
        send: (message, isLast) => seen.push(`${Buffer.from(message)} ${isLast}`) > 0,
        end: () => seen.push("end"),
        cancel,
        pause: () => undefined,
        resume: () => undefined,
      };
    };
    await using guest = await tourGuest(services);
    for (const turn of ["closed by the server", "left by the client"]) {
      const { filter } = openTour(guest, "stream");
      filter.requestHeaders(true);
      await opened;
      await Promise.resolve();
      const receiver = receivers.at(-1);
      receiver?.initialMetadata([["x-from", turn]]);
      receiver?.message(Buffer.from("apples"));
      if (turn === "closed by the server") receiver?.closed(5, "no more", []);
      filter.end();
    }
    await cancelled;
    assert.deepEqual(services.lines.slice(0, 9), [
      "closed NOT_FOUND: the stream is not open",
      "nowhere NOT_FOUND: there is no upstream 'nowhere', or it is not granted",
      "opened true",
      "again FAILED_PRECONDITION",
      "sent true INVALID_ARGUMENT",
      "begins closed by the server",
      "hears apples",
      "ends NOT_FOUND: no more false",
      "debug: done with stream -",
    ]);
    assert.deepEqual(seen.slice(0, 2), ["shop.Stock/Watch x-trace,t1", "pears true"]);
  });

  test("evaluates expressions, by the type of their value", async () => {
    await using guest = await tourGuest();
    openTour(guest, "expression").filter.requestHeaders(true);
    assert.deepEqual(guest.services.lines, [
      "wrong INVALID_ARGUMENT",
      "sum 3",
      "half 0.5",
      "text ab, a truth value: INTERNAL",
      "deleted NOT_FOUND",
    ]);
  });

  test("cancels a call", async () => {
    const services = new TestServices();
    const sent = Promise.withResolvers<void>();
    const call = never();
    services.upstreams.set("backend", never().answer);
    services.methods.set("/shop.Stock/Wait", (request, signal) => {
      sent.resolve();
      return call.answer(request, signal);
    });
    await using guest = await tourGuest(services);
    const { stream, filter } = openTour(guest, "cancel");
    assert.equal(filter.requestHeaders(true), "continue");
    await sent.promise;
    stream.maps["response-headers"] = new TestFields([[":status", "200"]]);
    filter.responseHeaders(true);
    await call.aborted;
    assert.deepEqual(services.lines, []);
  });

  test("is not called back for a stream that has ended", async () => {
    const services = new TestServices();
    const answer = Promise.withResolvers<void>();
    services.upstreams.set("backend", never().answer);
    services.methods.set("/shop.Stock/Count", async () => {
      await answer.promise;
      return grpcReply({ text: "7" });
    });
    await using guest = await tourGuest(services);
    const ended = openTour(guest, "grpc");
    ended.filter.requestHeaders(true);
    ended.filter.end();
    const waiting = openTour(guest, "grpc");
    waiting.filter.requestHeaders(true);
    answer.resolve();
    await waiting.stream.saw("resume request");
    assert.deepEqual(services.lines, ["debug: done with grpc -", "counted 7"]);
    assert.deepEqual(ended.stream.events, []);
  });

  test("asks the runtime without waiting", async () => {
    await using guest = await tourGuest(new SmallRuntime([]).services());
    const { stream, filter } = openTour(guest, "runtime");
    assert.equal(filter.requestHeaders(true), "pause");
    await stream.saw("resume request");
    assert.equal(stream.maps["request-headers"]?.get("x-hello"), "hello tour");
  });

  test("ticks until it stops that, and calls from a tick", async () => {
    await using guest = await tourGuest(new SmallRuntime([]).services(), '{"greeting":"hi","tick":1}');
    await guest.services.logged("tick 2");
    await guest.services.logged("after tick: hello tick hi");
  });

  test("refuses a configuration and says why", async () => {
    const services = new TestServices();
    await assert.rejects(tourGuest(services, "{}"), { name: "PluginError", fault: "configuration" });
    assert.deepEqual(services.lines, ["error: tour: 'greeting' must be a text"]);
  });

  test("says farewell when it goes", async () => {
    await using guest = await tourGuest();
    await guest.instance.drain();
    assert.deepEqual(guest.services.lines, ["plugin done"]);
  });

  test("serves a hundred thousand streams in 256 KiB", async () => {
    const configuration = '{"greeting":"hi"}';
    await using guest = await startPlugin(await testPlugin(), {
      kind: "filter",
      rootId: "tour",
      configuration,
      memoryBytes: 256 << 10,
    });
    for (let turn = 0; turn < 100_000; turn++) {
      const { stream, filter } = openTour(guest, "churn");
      filter.requestHeaders(true);
      assert.equal(stream.maps["request-headers"]?.get("x-count"), "3");
      filter.end();
    }
  });
});
