import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as api from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { GrpcStreamReceiver, StreamFilter } from "../../runtime/plugin/contract.ts";
import { buildPlugin, buildPlugins } from "../../scripts/build-plugins.ts";
import { generateAssemblyScript } from "../../scripts/gen-assemblyscript.ts";
import { type Guest, grpcReply, never, TestFields, TestServices, TestStream } from "../support/proxy-wasm-host.ts";
import { ask, bodyOf, compilePlugin, fieldsOf, shown, startPlugin, temporaryDirectory } from "./plugin-sdk-guest.ts";
import { type Codec, SmallRuntime } from "./plugin-sdk-runtime.ts";

const plugins = fileURLToPath(new URL("../../wasm-plugins", import.meta.url));

let wasm: Uint8Array<ArrayBuffer>;
before(async () => {
  wasm = await compilePlugin("sdk/test-plugin");
});

const tourGuest = (services = new TestServices(), configuration = '{"greeting":"hi"}'): Promise<Guest> =>
  startPlugin(wasm, { kind: "filter", rootId: "tour", configuration, services });
const deskGuest = (services = new TestServices()): Promise<Guest> =>
  startPlugin(wasm, { kind: "service", rootId: "desk", services });

function openTour(
  { instance }: Guest,
  tour: string,
  fields: readonly (readonly [string, string])[] = [],
): { readonly stream: TestStream; readonly filter: StreamFilter } {
  const stream = new TestStream([[":method", "GET"], [":path", "/"], ["x-tour", tour], ...fields]);
  return { stream, filter: instance.open(stream) };
}

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
    await using guest = await startPlugin(wasm, {
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
    await using guest = await startPlugin(wasm, { kind: "service", rootId: "desk", services, memoryBytes: 256 << 10 });
    const request = api.SayHelloRequest.encode({ serviceName: "", name: "x".repeat(500), data: undefined }).finish();
    for (let turn = 0; turn < 8_000; turn++) {
      const answer = await ask(guest, "POST", "/foreign/%2Fspec.proto.runtime.v1.Runtime%2FSayHello", request);
      assert.equal(answer.status, 200, answer.text);
    }
  });
});

describe("the generated messages", () => {
  const bytes = new Uint8Array(300).fill(7);
  const sample = <Message>(codec: Codec<Message>, message: Message) => ({
    bytes: codec.encode(message).finish(),
    check: (bytes: Uint8Array) => assert.deepEqual(codec.decode(bytes), message),
  });
  const samples = {
    SaveStateRequest: sample(api.SaveStateRequest, {
      storeName: "stock",
      states: [
        {
          key: "k",
          value: bytes,
          etag: { value: "3" },
          metadata: { a: "1", ü: "2", long: "x".repeat(20_000) },
          options: { concurrency: 1, consistency: 2 },
        },
        { key: "", value: new Uint8Array(), etag: undefined, metadata: {}, options: undefined },
      ],
    }),
    InvokeServiceRequest: sample(api.InvokeServiceRequest, {
      id: "shop",
      message: {
        method: "/m",
        data: { typeUrl: "t", value: bytes },
        contentType: "c",
        httpExtension: { verb: 9, querystring: "q=1" },
      },
    }),
    GetNextIdResponse: sample(api.GetNextIdResponse, { nextId: -(2n ** 63n) }),
    GetBulkSecretResponse: sample(api.GetBulkSecretResponse, {
      data: { a: { secrets: { x: "y" } }, b: { secrets: {} } },
    }),
    SubscribeTopicEventsRequest: sample(api.SubscribeTopicEventsRequest, {
      subscribeTopicEventsRequestType: {
        $case: "initialRequest",
        value: { pubsubName: "p", topic: "t", metadata: {}, deadLetterTopic: "" },
      },
    }),
    TopicEventRequest: sample(api.TopicEventRequest, {
      id: "1",
      source: "s",
      type: "t",
      specVersion: "1.0",
      dataContentType: "c",
      topic: "o",
      data: bytes,
      pubsubName: "p",
      metadata: { m: "" },
    }),
  };

  for (const [message, { bytes, check }] of Object.entries(samples)) {
    test(`read and write ${message} as the TypeScript ones do`, async () => {
      await using guest = await deskGuest();
      check((await ask(guest, "POST", `/codec/${message}`, bytes)).bytes);
    });
  }

  test("leave out fields they do not know, and refuse what is not a message", async () => {
    await using guest = await deskGuest();
    const unknown = Uint8Array.of(0x08, 5, 0x7a, 2, 1, 2, 0xf9, 1, ...new Uint8Array(8), 0xfd, 1, 0, 0, 0, 0);
    const answer = await ask(guest, "POST", "/codec/GetNextIdResponse", unknown);
    assert.deepEqual([...answer.bytes], [0x08, 5]);
    for (const broken of [[8], [0x0b], [0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f], new Array(12).fill(0x80)]) {
      const refused = await ask(guest, "POST", "/codec/SaveStateRequest", Uint8Array.from(broken));
      assert.equal(`${refused.status} ${refused.text}`, "400 INTERNAL: the bytes are not a SaveStateRequest");
    }
  });

  test("are those that the .proto files give", async () => {
    await using directory = await temporaryDirectory();
    generateAssemblyScript(directory.path);
    for (const file of [
      "spec/proto/runtime/v1/runtime.ts",
      "spec/proto/runtime/v1/appcallback.ts",
      "google/protobuf/any.ts",
    ]) {
      const checkedIn = await readFile(join(plugins, "sdk/assembly/gen", file), "utf8");
      assert.equal(await readFile(join(directory.path, file), "utf8"), checkedIn, file);
    }
  });
});

describe("building plugins", () => {
  test("does nothing when everything is current", async () => {
    await buildPlugins();
    assert.deepEqual(await buildPlugins(), []);
  });

  test("tells where a source is wrong", async () => {
    await using folder = await temporaryFolder({ "index.ts": "export const one: string = 1;\n" });
    await assert.rejects(buildPlugin(folder.path, { out: join(folder.path, "out.wasm") }), /index\.ts\(1,28\)/);
  });

  test("compiles what the READMEs show", async () => {
    const sources: Record<string, string> = {};
    for (const readme of ["README.md", "sdk/README.md"]) {
      const text = await readFile(join(plugins, readme), "utf8");
      for (const [, code = ""] of text.matchAll(/```ts\n(.*?)```/gs))
        sources[`s${Object.keys(sources).length}.ts`] = code;
    }
    const names = Object.keys(sources);
    assert.equal(names.length, 3);
    const index = names.map((name) => `import "./${name.slice(0, -3)}";\n`).join("");
    await using folder = await temporaryFolder({ ...sources, "index.ts": index });
    await buildPlugin(folder.path, { out: join(folder.path, "out.wasm") });
  });

  /** A folder of a plugin, where the library can be found. */
  async function temporaryFolder(
    sources: Readonly<Record<string, string>>,
  ): Promise<AsyncDisposable & { readonly path: string }> {
    const parent = join(plugins, "sdk/test-plugin/build");
    await mkdir(parent, { recursive: true });
    const directory = await temporaryDirectory(parent);
    const settings = { extends: "@outrigger/plugin/asconfig.json", entries: ["./assembly/index.ts"] };
    await writeFile(join(directory.path, "asconfig.json"), JSON.stringify(settings));
    await mkdir(join(directory.path, "assembly"));
    for (const [name, code] of Object.entries(sources)) await writeFile(join(directory.path, "assembly", name), code);
    return directory;
  }
});
