/** Ways of events from a binding to an application that comes and goes. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { BindingBlock } from "../../runtime/api/binding.ts";
import { PubSubBlock } from "../../runtime/api/pubsub.ts";
import { storeSet } from "../../runtime/api/stores.ts";
import { AppChannel } from "../../runtime/app/app-channel.ts";
import { HttpBindings } from "../../runtime/app/http-bindings.ts";
import { application } from "../../runtime/egress/upstream-settings.ts";
import { Upstreams } from "../../runtime/egress/upstreams.ts";
import { Metrics } from "../../runtime/telemetry/metrics.ts";
import { type BindingEvent, serveCallbacks } from "../../sdk/index.ts";
import { eventually } from "../conformance/backend.ts";
import { silentLog } from "../support/api.ts";
import { HandBinding } from "../support/hand-binding.ts";

const maxMessageBytes = 4 * 1024 ** 2;

/** One binding that the test holds in its hand, and what hands its events on. */
function openHand() {
  const hand = new HandBinding();
  const capabilities = new Set(["input", "redelivery"]);
  const opened = new Map([["hand", { name: "hand", type: "hand", store: hand, keyPrefix: "", capabilities }]]);
  const common = { log: silentLog, metrics: new Metrics() };
  const bindings = new BindingBlock({ stores: storeSet("binding", opened), drainMs: 100, ...common });
  const pubsub = new PubSubBlock({ stores: storeSet("pubsub", new Map()), appId: "shop", ...common });
  return { hand, bindings, pubsub, log: silentLog };
}

describe("events of a binding over gRPC", () => {
  it("come with their data and metadata, and wait while the application restarts", async () => {
    const events: BindingEvent[] = [];
    const serve = (port: number) =>
      serveCallbacks({ port, bindings: { hand: async (event) => void events.push(event) } });
    const { hand, ...parts } = openHand();
    let port: number;
    const channelOf = (address: string) => new AppChannel({ address, maxMessageBytes, ...parts });
    const open = new AsyncDisposableStack();
    {
      await using app = await serve(0);
      port = Number(app.address.split(":")[1]);
      open.use(channelOf(app.address));
      await eventually("the binding is listened to", () => hand.listeners === 1);
      await hand.bring("one", { key: "ключ" });
      const [event] = events;
      assert.deepEqual([event?.binding, event?.data.text(), event?.metadata], ["hand", "one", { key: "ключ" }]);
    }
    const waiting = hand.bring("two");
    await using _app = await serve(port);
    await waiting;
    assert.deepEqual(
      events.map(({ data }) => data.text()),
      ["one", "two"],
    );
    assert.equal(hand.listeners, 1);
    await open.disposeAsync();
    assert.equal(hand.listeners, 0);
  });

  it("are left to other instances when the application stays away, and taken again when it is back", async () => {
    const { hand, ...parts } = openHand();
    const serve = (port: number) => serveCallbacks({ port, bindings: { hand: async () => undefined } });
    const first = await serve(0);
    await using _channel = new AppChannel({ address: first.address, maxMessageBytes, absenceMs: 50, ...parts });
    await eventually("the binding is listened to", () => hand.listeners === 1);
    await first[Symbol.asyncDispose]();
    const lost = assert.rejects(hand.bring("one"), /the source stopped/);
    await eventually("the binding is left", () => hand.listeners === 0);
    await lost;
    await using _app = await serve(Number(first.address.split(":")[1]));
    await eventually("the binding is listened to again", () => hand.listeners === 1);
  });

  it("do not come to an application that lists none", async () => {
    const { hand, ...parts } = openHand();
    await using app = await serveCallbacks({ port: 0 });
    const asked = Promise.withResolvers<ReadonlySet<string>>();
    const onBindings = asked.resolve;
    await using _channel = new AppChannel({ address: app.address, maxMessageBytes, onBindings, ...parts });
    assert.deepEqual([...(await asked.promise)], []);
    assert.equal(hand.listeners, 0);
  });
});

describe("events of a binding over HTTP", () => {
  interface Received {
    readonly headers: IncomingHttpHeaders;
    readonly body: string;
  }

  async function openHttp(waitsForGrpc = false) {
    const open = new AsyncDisposableStack();
    const received: Received[] = [];
    const server = createServer(async (request, response) => {
      const chunks = await Array.fromAsync(request);
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      response.end();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    open.defer(() => {
      server.close();
      server.closeAllConnections();
    });
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const upstreams = open.use(new Upstreams({ upstreams: {}, application: { http: address }, log: silentLog }));
    const { hand, bindings, log } = openHand();
    const channel = open.use(
      new HttpBindings({
        address: () => upstreams.address(application),
        routes: [{ binding: "hand", path: "/hand" }],
        bindings,
        waitsForGrpc,
        request: (message, signal) => upstreams.httpCall(application, message, signal),
        log,
      }),
    );
    return { hand, channel, received, [Symbol.asyncDispose]: () => open.disposeAsync() };
  }

  it("have metadata that can pass for no header of the application's callers", async () => {
    await using http = await openHttp();
    await eventually("the binding is listened to", () => http.hand.listeners === 1);
    const metadata = {
      Authorization: "Bearer x",
      "Content-Length": "1",
      key: "ключ 100%\r\nX-Other: y",
      "not a name": "z",
      lone: "\ud800",
      long: "x".repeat(20_000),
    };
    await http.hand.bring('{"a":1}', metadata);
    const [{ headers, body } = assert.fail("it came")] = http.received;
    assert.equal(body, '{"a":1}');
    assert.deepEqual([headers["content-type"], headers.authorization], ["application/json", undefined]);
    const passed = Object.entries(headers).filter(([name]) => name.startsWith("binding-metadata-"));
    assert.deepEqual(Object.fromEntries(passed), {
      "binding-metadata-authorization": "Bearer x",
      "binding-metadata-content-length": "1",
      "binding-metadata-key": `${encodeURIComponent("ключ")} 100%25%0D%0AX-Other: y`,
      "binding-metadata-lone": encodeURIComponent("\ufffd"),
    });
  });

  it("say what their data is", async () => {
    await using http = await openHttp();
    await eventually("the binding is listened to", () => http.hand.listeners === 1);
    await http.hand.bring("plain");
    await http.hand.bring("<a/>", { contentType: "text/xml; charset=utf-8" });
    await http.hand.bring("1", { contentType: "no\nsuch" });
    const types = http.received.map(({ headers }) => headers["content-type"]);
    assert.deepEqual(types, ["application/octet-stream", "text/xml; charset=utf-8", "application/json"]);
  });

  it("begin once it is known that the application does not take them over gRPC, and end when it does", async () => {
    await using http = await openHttp(true);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(http.hand.listeners, 0);
    http.channel.leave(new Set());
    await eventually("the binding is listened to", () => http.hand.listeners === 1);
    http.channel.leave(new Set(["hand"]));
    await eventually("the binding is left", () => http.hand.listeners === 0);
    http.channel.leave(new Set(["other"]));
    await eventually("the binding is listened to again", () => http.hand.listeners === 1);
  });
});
