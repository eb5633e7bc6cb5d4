import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RuntimeError } from "../../components/error.ts";
import { GetStateRequest, GetStateResponse } from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { callContext, openApiParts, silentLog } from "../../test/support/api.ts";
import { unusedApi } from "../../test/support/unused-api.ts";
import { capabilities } from "../config/scalars.ts";
import { refusedStream } from "../grpc/client.ts";
import { inProcessCaller } from "../grpc/in-process.ts";
import type { HostServices } from "../plugin/contract.ts";
import { PluginMetricsStore } from "../plugin/plugin-metrics.ts";
import { SharedDataStore } from "../plugin/shared-data.ts";
import { SharedQueueStore } from "../plugin/shared-queues.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { hostServices } from "./host-services.ts";
import { createRuntimeService } from "./layotto/runtime-service.ts";
import { checkGrants } from "./method-grants.ts";
import type { SaveItem } from "./state.ts";

const { signal } = new AbortController();
const service = "spec.proto.runtime.v1.Runtime";
const get = (store: string): Uint8Array =>
  GetStateRequest.encode(GetStateRequest.fromPartial({ storeName: store, key: "k" })).finish();

/** Services of a plugin `shop` that was granted the state store `inventory` and the upstream `backend`. */
async function open() {
  const parts = await openApiParts({ backend: { endpoints: ["127.0.0.1:1"] }, other: { endpoints: ["127.0.0.1:1"] } });
  const granted = capabilities.parse({ state: ["inventory"], upstreams: ["backend"] });
  const methods = inProcessCaller([createRuntimeService(parts.blocks)]);
  const reached: string[] = [];
  const services = hostServices({
    plugin: "shop",
    api: unusedApi,
    version: "1.0.0",
    appId: "app",
    upstreams: granted.upstreams,
    methods: {
      has: methods.has,
      call: (method, message, call) =>
        methods.call(method, message, call, (name, request) => checkGrants("shop", granted, name, request)),
    },
    calls: {
      names: () => ["backend", "other"],
      http: async (upstream) => {
        reached.push(upstream);
        return { headers: [[":status", "200"]], body: new Uint8Array(), trailers: [] };
      },
      grpc: async (upstream, _request, _signal, timeoutMs) => {
        reached.push(`${upstream} within ${timeoutMs} ms`);
        return { code: 0, details: "", initialMetadata: [], message: new Uint8Array(), trailingMetadata: [] };
      },
      grpcStream: (upstream, _request, receiver) => {
        reached.push(`${upstream} as a stream`);
        return refusedStream(0, "", receiver);
      },
    },
    metrics: new PluginMetricsStore(new Metrics()).of("shop"),
    sharedData: new SharedDataStore().of({ name: "shop", vmId: "" }),
    sharedQueues: new SharedQueueStore().of({ name: "shop", vmId: "" }),
    log: silentLog,
  });
  const save = (store: string, key: string, text: string): Promise<void> => {
    const item: SaveItem = {
      key,
      value: Buffer.from(text),
      etag: "",
      metadata: {},
      concurrency: "last-write",
      consistency: "strong",
    };
    return parts.blocks.state.save({ store, items: [item] }, callContext());
  };
  return { services, reached, save, [Symbol.asyncDispose]: () => parts[Symbol.asyncDispose]() };
}

/** The code with which a stream to the upstream ends. */
function streamCode(services: HostServices, upstream: string): Promise<number> {
  const unexpected = (): never => assert.fail("nothing but the end is expected");
  return new Promise((resolve) => {
    const receiver = { initialMetadata: unexpected, message: unexpected, drained: unexpected, closed: resolve };
    services.grpcStream(upstream, { service, method: "M", metadata: [] }, receiver);
  });
}

describe("what a plugin may reach", () => {
  it("is the runtime under the name outrigger, over gRPC and over HTTP", async () => {
    await using opened = await open();
    const reply = await opened.services.grpcCall(
      "outrigger",
      { service, method: "GetState", metadata: [], message: get("inventory") },
      signal,
    );
    assert.equal(reply.code, 0, reply.details);
    assert.deepEqual(GetStateResponse.decode(reply.message ?? new Uint8Array()).data, new Uint8Array());
    const headers = [
      [":method", "POST"],
      [":path", `/${service}/GetState`],
    ] as const;
    const answer = await opened.services.httpCall(
      "outrigger",
      { headers, body: get("inventory"), trailers: [] },
      signal,
    );
    assert.deepEqual(answer.headers[0], [":status", "200"]);
    const wrong = await opened.services.httpCall(
      "outrigger",
      {
        headers: [
          [":method", "GET"],
          [":path", "/"],
        ],
        body: new Uint8Array(),
        trailers: [],
      },
      signal,
    );
    assert.deepEqual(wrong.headers[0], [":status", "404"]);
  });

  it("is not a store that was not granted, by name, nor a method that is not for plugins", async () => {
    await using opened = await open();
    const call = (method: string, message: Uint8Array) =>
      opened.services.grpcCall("outrigger", { service, method, metadata: [], message }, signal);
    const denied = await call("GetState", get("secrets"));
    assert.equal(denied.code, 7);
    assert.match(denied.details, /plugin 'shop' was not granted the state store 'secrets'/);
    assert.equal((await call("SubscribeTopicEvents", new Uint8Array())).code, 12);
    assert.equal((await call("Nothing", new Uint8Array())).code, 12);
    assert.equal((await call("GetState", new Uint8Array([0xff]))).code, 3);
    const headers = [
      [":method", "POST"],
      [":path", `/${service}/GetState`],
    ] as const;
    const overHttp = await opened.services.httpCall(
      "outrigger",
      { headers, body: get("secrets"), trailers: [] },
      signal,
    );
    assert.deepEqual(overHttp.headers.slice(0, 2), [
      [":status", "403"],
      ["grpc-status", "7"],
    ]);
  });

  it("is an upstream that was granted, and no other", async () => {
    await using opened = await open();
    assert.deepEqual(
      ["backend", "other", "outrigger"].map((name) => opened.services.hasUpstream(name)),
      [true, false, true],
    );
    const request = { headers: [], body: new Uint8Array(), trailers: [] };
    await opened.services.httpCall("backend", request, signal);
    await assert.rejects(opened.services.httpCall("other", request, signal), (error: unknown) => {
      return error instanceof RuntimeError && error.code === "PERMISSION_DENIED" && error.message.includes("'other'");
    });
    const call = { service, method: "M", metadata: [], message: new Uint8Array() };
    assert.equal((await opened.services.grpcCall("other", call, signal)).code, 7);
    await opened.services.grpcCall("backend", call, signal, 50);
    const codes = await Promise.all(["other", "outrigger", "backend"].map((one) => streamCode(opened.services, one)));
    assert.deepEqual(codes, [7, 12, 0]);
    assert.deepEqual(opened.reached, ["backend", "backend within 50 ms", "backend as a stream"]);
  });

  it("is a value of a state store that was granted, and no other, in one call", async () => {
    await using opened = await open();
    const { services } = opened;
    assert.equal((await services.getState("inventory", "none", [], signal)).length, 0);
    await opened.save("inventory", "apple", "7");
    assert.equal(Buffer.from(await services.getState("inventory", "apple", [], signal)).toString(), "7");
    await assert.rejects(services.getState("secrets", "apple", [], signal), { code: "PERMISSION_DENIED" });
    await assert.rejects(services.invokeService("backend", "/", new Uint8Array(), [], signal), {
      code: "PERMISSION_DENIED",
    });
  });
});
