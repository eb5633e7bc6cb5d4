import assert from "node:assert/strict";
import { once } from "node:events";
import type http from "node:http";
import { describe, it } from "node:test";
import { eventually } from "../../../test/conformance/backend.ts";
import { serve } from "../../../test/integration/ingress-rig.ts";
import { ComponentHost } from "../../../test/support/component-host.ts";
import { keepLog } from "../../../test/support/plugin-registry.ts";
import { guestHttp } from "../../egress/guest-http.ts";
import { Upstreams } from "../../egress/upstreams.ts";
import type { UniformApi } from "../../plugin/uniform-api.ts";
import { Fields } from "./fields.ts";
import { FutureTrailers, IncomingBody } from "./incoming-body.ts";
import type { FutureIncomingResponse, IncomingResponse } from "./incoming-response.ts";
import { OutgoingBody } from "./outgoing-body.ts";
import { outgoingHandler } from "./outgoing-handler.ts";
import { OutgoingRequest, RequestOptions } from "./outgoing-request.ts";

type Handle = (request: OutgoingRequest, options?: RequestOptions) => FutureIncomingResponse;
type Got = { tag: "ok"; val: { tag: "ok"; val: IncomingResponse } | { tag: "err"; val: { tag: string } } };

/** The host of a guest that was granted the upstream `people`, which this listener is. */
async function granted(listener: http.RequestListener) {
  await using opening = new AsyncDisposableStack();
  const server = opening.use(await serve(listener));
  const { log } = keepLog();
  const people = { endpoints: [server.address], protocol: "http" as const };
  const upstreams = opening.use(new Upstreams({ upstreams: { people, private: people }, log }));
  const api = { http: guestHttp("test", ["people", "gone"], upstreams) } as UniformApi;
  const host = new ComponentHost({ services: { api } });
  const { handle } = outgoingHandler.make(host) as { handle: Handle };
  const opened = opening.move();
  return { host, handle, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

function requestTo(host: ComponentHost, authority = "people", path = "/"): OutgoingRequest {
  const request = new OutgoingRequest(host, new Fields(host));
  request.setAuthority(authority);
  request.setPathWithQuery(path);
  return request;
}

/** What the future settles to: a response, or the tag of an error. */
async function settled(future: FutureIncomingResponse): Promise<IncomingResponse | string> {
  await future.subscribe().block();
  const { val } = future.get() as Got;
  assert.deepEqual(future.get(), { tag: "err" }, "it is given once");
  return val.tag === "ok" ? val.val : val.val.tag;
}

async function response(future: FutureIncomingResponse): Promise<IncomingResponse> {
  const outcome = await settled(future);
  return typeof outcome === "string" ? assert.fail(outcome) : outcome;
}

describe("a request of a guest", () => {
  it("has no body when the guest has finished an empty one before it waits, and one that comes later is chunked", async () => {
    const seen: unknown[] = [];
    await using upstream = await granted(async (request, answer) => {
      let text = "";
      for await (const chunk of request) text += chunk;
      seen.push([request.headers["transfer-encoding"], request.headers["content-length"], text]);
      answer.end();
    });
    const { host, handle } = upstream;
    for (const isLate of [false, true]) {
      const request = requestTo(host);
      const body = request.body();
      const future = handle(request);
      if (isLate) await new Promise(setImmediate);
      OutgoingBody.finish(body, undefined);
      assert.equal((await response(future)).status(), 200);
    }
    assert.deepEqual(seen, [
      [undefined, undefined, ""],
      ["chunked", undefined, ""],
    ]);
  });

  it("goes to the upstream that its authority names, as it is written, and comes back as it is sent", async () => {
    await using upstream = await granted(async (request, answer) => {
      answer.writeHead(201, { "x-method": request.method, trailer: "x-sum" });
      for await (const chunk of request) answer.write(String(chunk).toUpperCase());
      answer.addTrailers({ "x-sum": "3" });
      answer.end();
    });
    const { host, handle } = upstream;
    const request = requestTo(host, "people:80");
    request.setMethod({ tag: "other", val: "PATCH" });
    const body = request.body();
    assert.throws(
      () => request.body(),
      (error) => error === undefined,
    );
    const future = handle(request);
    const out = body.write();
    await out.blockingWriteAndFlush(Buffer.from("one"));
    const got = await response(future);
    assert.equal(got.status(), 201);
    assert.equal(Buffer.from(got.headers().get("X-Method")[0] ?? []).toString(), "PATCH");
    const incoming = got.consume();
    const stream = incoming.stream();
    assert.equal(Buffer.from(await stream.blockingRead(100n)).toString(), "ONE");
    OutgoingBody.finish(body, undefined);
    await assert.rejects(async () => stream.blockingRead(100n), { tag: "closed" });
    const trailers = IncomingBody.finish(incoming);
    await trailers.subscribe().block();
    const { val } = trailers.get() as { val: { val: Fields } };
    assert.equal(Buffer.from(val.val.get("x-sum")[0] ?? []).toString(), "3");
    assert.ok(trailers instanceof FutureTrailers);
  });

  it("is refused where no grant or no upstream is, and over TLS", async () => {
    await using upstream = await granted((_request, answer) => void answer.end());
    const { host, handle } = upstream;
    for (const authority of ["private", "gone", "outrigger", ":app", "people:81"])
      assert.throws(() => handle(requestTo(host, authority)), { tag: "HTTP-request-denied" });
    const secure = requestTo(host);
    secure.setScheme({ tag: "HTTPS" });
    assert.throws(() => handle(secure), { tag: "TLS-protocol-error" });
  });

  it("leaves nothing behind when it is refused", async () => {
    await using upstream = await granted((_request, answer) => void answer.end());
    const { host, handle } = upstream;
    for (let made = 0; made < 2_000; made++) {
      const request = requestTo(host, "private");
      request.body().write().write(new Uint8Array(60_000));
      assert.throws(() => handle(request), { tag: "HTTP-request-denied" });
    }
  });

  it("takes only what may stand in a request", () => {
    const request = requestTo(new ComponentHost());
    const isRefused = (error: unknown): boolean => error === undefined;
    assert.throws(() => request.setMethod({ tag: "other", val: "GET /" }), isRefused);
    assert.throws(() => request.setPathWithQuery("/a b"), isRefused);
    assert.throws(() => request.setPathWithQuery("a"), isRefused);
    assert.throws(() => request.setAuthority("a/b"), isRefused);
    assert.throws(() => request.setScheme({ tag: "other", val: "1" }), isRefused);
    request.setScheme(undefined);
    request.setAuthority(undefined);
    assert.deepEqual([request.scheme(), request.authority(), request.pathWithQuery()], [undefined, undefined, "/"]);
  });

  it("is given up when its upstream is slower than its options allow", async () => {
    await using upstream = await granted((request, answer) => {
      if (request.url === "/half") answer.write("half");
    });
    const { host, handle } = upstream;
    const options = new RequestOptions();
    options.setConnectTimeout(10_000_000_000n);
    options.setFirstByteTimeout(30_000_000n);
    assert.equal(await settled(handle(requestTo(host), options)), "HTTP-response-timeout");
    const between = new RequestOptions();
    between.setBetweenBytesTimeout(30_000_000n);
    const stream = (await response(handle(requestTo(host, "people", "/half"), between))).consume().stream();
    assert.equal(Buffer.from(await stream.blockingRead(100n)).toString(), "half");
    await assert.rejects(async () => stream.blockingRead(100n), { tag: "last-operation-failed" });
  });

  it("ends with the call of the guest, and there are only so many at once", async () => {
    let waiting = 0;
    await using upstream = await granted((_request, answer) => {
      waiting++;
      answer.once("close", () => waiting--);
    });
    const { host, handle } = upstream;
    const futures = Array.from({ length: 128 }, () => handle(requestTo(host)));
    assert.throws(() => handle(requestTo(host)), { tag: "connection-limit-reached" });
    futures[0]?.[Symbol.dispose]();
    handle(requestTo(host));
    await eventually("the requests have come", () => waiting >= 128);
    host.end();
    await eventually("they are let go", () => waiting === 0);
    assert.deepEqual(futures[1]?.get(), { tag: "ok", val: { tag: "err", val: { tag: "connection-terminated" } } });
  });

  it("is one of so many until the guest has read its answer, or lets go of it", async () => {
    await using upstream = await granted((_request, answer) => void answer.end("an answer"));
    const { host, handle } = upstream;
    const responses = await Promise.all(Array.from({ length: 128 }, () => response(handle(requestTo(host)))));
    const tooMany = { tag: "connection-limit-reached" };
    assert.throws(() => handle(requestTo(host)), tooMany);
    const stream = responses[0]?.consume().stream() ?? assert.fail();
    assert.equal(Buffer.from(await stream.blockingRead(100n)).toString(), "an answer");
    handle(requestTo(host))[Symbol.dispose]();
    responses[1]?.[Symbol.dispose]();
    const untaken = [handle(requestTo(host)), handle(requestTo(host))];
    assert.throws(() => handle(requestTo(host)), tooMany);
    await Promise.all(untaken.map((future) => future.subscribe().block()));
    for (const future of untaken) future[Symbol.dispose]();
    host.end();
    for (let made = 0; made < 128; made++) handle(requestTo(host));
    host.end();
  });

  it("holds its upstream back while the guest does not read", async () => {
    let sent = 0;
    await using upstream = await granted(async (_request, answer) => {
      const part = Buffer.alloc(64 * 1024);
      for (; sent < 256 * part.length; sent += part.length) if (!answer.write(part)) await once(answer, "drain");
      answer.end();
    });
    const { host, handle } = upstream;
    const stream = (await response(handle(requestTo(host)))).consume().stream();
    let before = -1;
    await eventually("the upstream is held back", async () => {
      const isStill = sent === before && sent > 0;
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return isStill;
    });
    assert.ok(sent < 256 * 64 * 1024, "it has not sent all");
    let read = 0;
    for (;;) {
      try {
        read += (await stream.blockingRead(1_000_000n)).length;
      } catch {
        break;
      }
    }
    assert.equal(read, 256 * 64 * 1024);
  });

  it("is broken off when its body is dropped, or not as long as it declares", async () => {
    await using upstream = await granted((request) => void request.on("error", () => undefined).resume());
    const { host, handle } = upstream;
    const dropped = requestTo(host);
    const body = dropped.body();
    const future = handle(dropped);
    body[Symbol.dispose]();
    assert.equal(await settled(future), "HTTP-protocol-error");
    const fields = Fields.fromList(host, [["content-length", Buffer.from("3")]]);
    const short = new OutgoingRequest(host, fields);
    short.setAuthority("people");
    const shortBody = short.body();
    const shortFuture = handle(short);
    shortBody.write().write(Buffer.from("ab"));
    assert.throws(() => OutgoingBody.finish(shortBody, undefined), { tag: "HTTP-request-body-size", val: 2n });
    assert.equal(await settled(shortFuture), "HTTP-protocol-error");
  });
});
