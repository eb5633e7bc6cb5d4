import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { describe, it } from "node:test";
import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import { RuntimeService, SayHelloRequest, SayHelloResponse } from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { callContext, silentLog } from "../../test/support/api.ts";
import { configurationSchema } from "../config/schema.ts";
import { Upstreams } from "../egress/upstreams.ts";
import { GrpcChannels } from "../grpc/client.ts";
import { http2Transport } from "../grpc/http2-transport.ts";
import { defineService } from "../grpc/service.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { createInvoke, type InvokeBlock, type InvokeRequest } from "./invoke.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (value: Uint8Array): string => new TextDecoder().decode(value);

const request = (changes: Partial<InvokeRequest>): InvokeRequest => ({
  id: "billing",
  method: "/",
  verb: undefined,
  querystring: "",
  contentType: "",
  data: new Uint8Array(),
  metadata: [],
  ...changes,
});

interface Rig extends AsyncDisposable {
  readonly block: InvokeBlock;
}

async function invoking(address: string, protocol: "http" | "grpc"): Promise<Rig> {
  const open = new AsyncDisposableStack();
  const upstreams = configurationSchema.parse({ upstreams: { billing: { endpoints: [address], protocol } } }).upstreams;
  const http = open.use(new Upstreams({ upstreams, log: silentLog }));
  const grpc = open.use(new GrpcChannels(4 * 1024 ** 2));
  const block = createInvoke({
    names: () => http.names,
    http: (upstream, message, signal, caller) => http.httpCall(upstream, message, signal, caller),
    grpc: (upstream, message, signal, timeoutMs) =>
      grpc.call(http.address(upstream) ?? "", message, { signal, timeoutMs }),
  });
  return { block, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

/** A service on HTTP, and the block that can invoke it as `billing`. */
async function httpService(listener: RequestListener): Promise<Rig> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const rig = await invoking(`127.0.0.1:${(server.address() as AddressInfo).port}`, "http");
  return {
    block: rig.block,
    async [Symbol.asyncDispose]() {
      await rig[Symbol.asyncDispose]();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers with what it was asked. */
const echo: RequestListener = async (asked, answer) => {
  const body = decode(await buffer(asked));
  answer.setHeader("content-type", "application/json").setHeader("x-answered", "yes");
  answer.end(JSON.stringify({ method: asked.method, url: asked.url, headers: asked.headers, body }));
};

async function echoed(block: InvokeBlock, changes: Partial<InvokeRequest>) {
  const reply = await block.invoke(request(changes), callContext());
  const asked = JSON.parse(decode(reply.data)) as Pick<IncomingMessage, "method" | "url" | "headers"> & {
    body: string;
  };
  return { reply, ...asked };
}

describe("invoking a service over HTTP", () => {
  it("passes verb, path, query string, content type, body and metadata, and gives them back", async () => {
    await using service = await httpService(echo);
    const { reply, method, url, headers, body } = await echoed(service.block, {
      method: "charge",
      verb: "PUT",
      querystring: "a=1&b=2",
      contentType: "text/plain",
      data: encode("hello"),
      metadata: [
        ["x-tenant", "t1"],
        ["te", "trailers"],
        ["user-agent", "grpc"],
        ["key-bin", "AA=="],
        ["grpc-timeout", "1S"],
      ],
    });
    assert.equal(method, "PUT");
    assert.equal(url, "/charge?a=1&b=2");
    assert.equal(headers["content-type"], "text/plain");
    assert.equal(headers["x-tenant"], "t1");
    for (const name of ["te", "user-agent", "key-bin", "grpc-timeout"]) assert.equal(headers[name], undefined, name);
    assert.equal(body, "hello");
    assert.equal(reply.contentType, "application/json");
    assert.ok(reply.metadata.some(([name, value]) => name === "x-answered" && value === "yes"));
    assert.ok(!reply.metadata.some(([name]) => name.startsWith(":") || name === "content-length"));
  });

  it("posts data and gets otherwise when no verb was given", async () => {
    await using service = await httpService(echo);
    assert.equal((await echoed(service.block, { data: encode("x") })).method, "POST");
    assert.equal((await echoed(service.block, {})).method, "GET");
  });

  it("takes a path for HTTP although it looks like a gRPC method when a verb was given", async () => {
    await using service = await httpService(echo);
    assert.equal(
      (await echoed(service.block, { method: "/shop.Billing/Charge", verb: "POST" })).url,
      "/shop.Billing/Charge",
    );
    assert.equal((await echoed(service.block, { method: "/v1.0/invoke" })).url, "/v1.0/invoke");
  });

  it("turns a status that is no success into its code, with the beginning of the body", async () => {
    await using service = await httpService((asked, answer) => {
      answer.statusCode = Number(asked.url?.slice(1));
      answer.end(`no\r\n${"x".repeat(1000)}`);
    });
    const codes = {
      301: "UNKNOWN",
      400: "INVALID_ARGUMENT",
      401: "UNAUTHENTICATED",
      403: "PERMISSION_DENIED",
      404: "NOT_FOUND",
      409: "ALREADY_EXISTS",
      418: "FAILED_PRECONDITION",
      429: "RESOURCE_EXHAUSTED",
      500: "INTERNAL",
      503: "UNAVAILABLE",
      504: "DEADLINE_EXCEEDED",
    };
    for (const [status, code] of Object.entries(codes)) {
      await assert.rejects(service.block.invoke(request({ method: status }), callContext()), (error) => {
        assert.ok(error instanceof RuntimeError);
        assert.equal(error.code, code, status);
        assert.match(error.message, new RegExp(`^'billing' answered GET /${status} with ${status}: no x+$`));
        assert.ok(error.message.length < 350);
        return true;
      });
    }
  });

  it("gives back the response fields that metadata can hold", async () => {
    await using service = await httpService((_, answer) => {
      answer.setHeader("x-plain", "yes").setHeader("x-latin", "\u00fc").setHeader("x-bin", "AA==");
      answer.setHeader("x-big", "b".repeat(5000)).end();
    });
    const { metadata } = await service.block.invoke(request({}), callContext());
    assert.deepEqual(
      metadata.filter(([name]) => name.startsWith("x-")),
      [["x-plain", "yes"]],
    );
  });

  it("gives up after the default time when the caller set no deadline, or after the time the metadata asks for", async () => {
    const left = Promise.withResolvers<void>();
    await using service = await httpService((asked) => asked.socket.once("close", () => left.resolve()));
    const metadata = [["rpc_request_timeout", "20"]] as const;
    await assert.rejects(service.block.invoke(request({ metadata }), callContext()), {
      code: "DEADLINE_EXCEEDED",
      reason: "INVOKE_TIMEOUT",
      message: /'billing' did not answer \/ within 20 ms/,
    });
    await left.promise;
  });

  it("ends the call to the service when the caller cancels", async () => {
    const arrived = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    await using service = await httpService((asked) => {
      asked.socket.once("close", () => left.resolve());
      arrived.resolve();
    });
    const caller = new AbortController();
    const call = service.block.invoke(request({}), callContext({ signal: caller.signal }));
    const rejected = assert.rejects(call, { code: "CANCELLED" });
    await arrived.promise;
    caller.abort();
    await rejected;
    await left.promise;
  });

  it("refuses what no header and no path may hold", async () => {
    await using service = await httpService(echo);
    const refused = [{ method: "/a b" }, { method: "/é" }, { querystring: "a=\r\nx: y" }, { contentType: "a\nb" }];
    for (const changes of refused) {
      await assert.rejects(service.block.invoke(request(changes), callContext()), { code: "INVALID_ARGUMENT" });
    }
  });

  it("names the upstreams there are when the id is none of them", async () => {
    await using service = await httpService(echo);
    await assert.rejects(service.block.invoke(request({ id: "biling" }), callContext()), {
      code: "NOT_FOUND",
      message: "there is no upstream 'biling' to invoke; configured: billing",
    });
    const nothing = createInvoke({
      names: () => [],
      http: () => Promise.reject(new Error("never called")),
      grpc: () => Promise.reject(new Error("never called")),
    });
    await assert.rejects(nothing.invoke(request({}), callContext()), { code: "FAILED_PRECONDITION" });
  });
});

describe("invoking a service over gRPC", () => {
  const serveHello = async (wait: (call: CallContext) => Promise<void> = async () => undefined): Promise<Rig> => {
    const service = defineService(RuntimeService, {
      async sayHello({ name }, call) {
        await wait(call);
        if (name === "nobody") throw new RuntimeError("NOT_FOUND", "NOBODY", "there is nobody");
        call.sendMetadata?.([["x-served", "yes"]]);
        return { hello: `${name} ${call.metadata?.find(([key]) => key === "x-tenant")?.[1]}`, data: undefined };
      },
    });
    const listener = await http2Transport.serve({
      addresses: ["127.0.0.1:0"],
      services: [service],
      maxMessageBytes: 4 * 1024 ** 2,
      appId: "billing",
      log: silentLog,
      metrics: new Metrics(),
    });
    const rig = await invoking(listener.addresses[0] ?? "", "grpc");
    return {
      block: rig.block,
      async [Symbol.asyncDispose]() {
        await rig[Symbol.asyncDispose]();
        await listener[Symbol.asyncDispose]();
      },
    };
  };
  const method = "/spec.proto.runtime.v1.Runtime/SayHello";
  const hello = (name: string) => SayHelloRequest.encode(SayHelloRequest.create({ name })).finish();

  it("passes the message and the metadata as they are, and gives the reply's bytes", async () => {
    await using service = await serveHello();
    const metadata = [
      ["x-tenant", "t1"],
      ["grpc-timeout", "1S"],
      ["user-agent", "me"],
    ] as const;
    const reply = await service.block.invoke(request({ method, data: hello("you"), metadata }), callContext());
    assert.equal(SayHelloResponse.decode(reply.data).hello, "you t1");
    assert.equal(reply.contentType, "application/grpc");
    assert.deepEqual(
      reply.metadata.filter(([name]) => name === "x-served"),
      [["x-served", "yes"]],
    );
  });

  it("tells the service how long it may take, and does not wait longer", async () => {
    const left = Promise.withResolvers<number | undefined>();
    await using service = await serveHello((call) => {
      call.signal.addEventListener("abort", () => left.resolve(call.deadlineMs));
      return new Promise(() => undefined);
    });
    const asked = request({ method, data: hello("you"), metadata: [["rpc_request_timeout", "20"]] });
    const sentAtMs = Date.now();
    await assert.rejects(service.block.invoke(asked, callContext()), {
      code: "DEADLINE_EXCEEDED",
      reason: "INVOKE_TIMEOUT",
      message: new RegExp(`'billing' did not answer ${method} within 20 ms`),
    });
    assert.ok(((await left.promise) ?? 0) >= sentAtMs);
    const signal = AbortSignal.timeout(20);
    await assert.rejects(service.block.invoke({ ...asked, metadata: [] }, callContext({ signal })), {
      code: "CANCELLED",
    });
  });

  it("fails with the service's own code and message", async () => {
    await using service = await serveHello();
    await assert.rejects(service.block.invoke(request({ method, data: hello("nobody") }), callContext()), {
      code: "NOT_FOUND",
      message: "there is nobody",
    });
    await assert.rejects(service.block.invoke(request({ method: "/shop.Billing/Charge" }), callContext()), {
      code: "UNIMPLEMENTED",
    });
  });
});
