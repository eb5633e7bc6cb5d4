import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Metadata, Server, ServerCredentials, type ServiceError, status } from "@grpc/grpc-js";
import { ErrorInfo, Status } from "../../proto/gen/google/rpc/status.ts";
import { HealthCheckResponse_ServingStatus, HealthService } from "../../proto/gen/grpc/health/v1/health.ts";
import {
  type ServerReflectionResponse,
  ServerReflectionService,
} from "../../proto/gen/grpc/reflection/v1/reflection.ts";
import { ServerReflectionService as AlphaService } from "../../proto/gen/grpc/reflection/v1alpha/reflection.ts";
import { RuntimeService } from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { createRuntimeService } from "../../runtime/api/layotto/runtime-service.ts";
import { openHealth } from "../../runtime/grpc/health.ts";
import { http2Transport } from "../../runtime/grpc/http2-transport.ts";
import { reflectionServices } from "../../runtime/grpc/reflection.ts";
import { Metrics } from "../../runtime/telemetry/metrics.ts";
import { openApiParts, silentLog } from "../support/api.ts";
import { ask, serveEcho } from "../support/grpc-echo.ts";
import { serviceClient } from "../support/service-client.ts";
import { temporaryDirectory } from "../support/sidecar.ts";

const names = ["spec.proto.runtime.v1.Runtime", "grpc.health.v1.Health"];

/** The whole gRPC side on `addresses`, with upstreams of the caller's. */
async function serve(upstreams: Record<string, object> = {}, addresses = ["127.0.0.1:0"], maxMessageBytes = 64 * 1024) {
  const open = new AsyncDisposableStack();
  const { blocks } = open.use(await openApiParts(upstreams));
  const health = openHealth(names);
  const metrics = new Metrics();
  const services = [createRuntimeService(blocks), health.service, ...reflectionServices(names)];
  const listener = open.use(
    await http2Transport.serve({ addresses, services, maxMessageBytes, appId: "app", log: silentLog, metrics }),
  );
  const [address = ""] = listener.addresses;
  const runtime = serviceClient(RuntimeService, address, { "grpc.max_receive_message_length": 2 ** 24 });
  open.defer(() => runtime.close());
  return { address, health, listener, metrics, runtime, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

type Callback<R> = (error: ServiceError | null, response: R) => void;
const answered = <R>(call: (callback: Callback<R>) => void): Promise<R> =>
  new Promise((resolve, reject) => call((error, response) => (error === null ? resolve(response) : reject(error))));
const failed = async <R>(call: (callback: Callback<R>) => void): Promise<ServiceError> =>
  answered(call).then(
    () => assert.fail("the call succeeded"),
    (error: ServiceError) => error,
  );

describe("the gRPC transport", () => {
  it("tells what was wrong, for people in the message and for machines in ErrorInfo", async () => {
    await using served = await serve();
    const error = await failed<unknown>((done) =>
      served.runtime.getState({ storeName: "nowhere", key: "k", consistency: 0, metadata: {} }, done),
    );
    assert.equal(error.code, status.INVALID_ARGUMENT);
    assert.match(error.details, /'nowhere' is not configured; configured: inventory/);
    const [encoded] = error.metadata.get("grpc-status-details-bin");
    const { code, details } = Status.decode(encoded as Buffer);
    assert.equal(code, status.INVALID_ARGUMENT);
    const info = ErrorInfo.decode(details[0]?.value ?? new Uint8Array());
    assert.equal(info.domain, "outrigger");
    assert.match(info.reason, /^[A-Z_]+$/);
    assert.match(
      await served.metrics.expose(),
      /outrigger_grpc_requests_total\{method="\/spec.proto.runtime.v1.Runtime\/GetState",code="INVALID_ARGUMENT"\} 1/,
    );
  });

  it("answers UNIMPLEMENTED with a sentence for methods that are not built", async () => {
    await using served = await serveEcho({ handlers: {} });
    const { code, details } = await ask(served.client, "hello");
    assert.equal(code, status.UNIMPLEMENTED);
    assert.match(details, /Unary is not built yet/);
  });

  it("refuses messages over the limit with RESOURCE_EXHAUSTED, either way", async () => {
    await using served = await serve();
    const save = (bytes: number, key: string) => (done: Callback<unknown>) => {
      const states = [{ key, value: new Uint8Array(bytes), metadata: {}, etag: undefined, options: undefined }];
      served.runtime.saveState({ storeName: "inventory", states }, done);
    };
    assert.equal((await failed(save(128 * 1024, "large"))).code, status.RESOURCE_EXHAUSTED);
    for (const key of ["a", "b"]) await answered(save(40 * 1024, key));
    const bulk = await failed<unknown>((done) =>
      served.runtime.getBulkState({ storeName: "inventory", keys: ["a", "b"], parallelism: 0, metadata: {} }, done),
    );
    assert.equal(bulk.code, status.RESOURCE_EXHAUSTED);
  });

  it("listens on a Unix socket of mode 0600 beside TCP, and removes it at the end", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "api.sock");
    {
      await using served = await serve({}, [`unix:${path}`, "127.0.0.1:0"]);
      assert.equal((await stat(path)).mode & 0o777, 0o600);
      assert.equal(
        (
          await answered<{ hello: string }>((done) =>
            served.runtime.sayHello({ serviceName: "", name: "unix", data: undefined }, done),
          )
        ).hello.includes("unix"),
        true,
      );
    }
    await assert.rejects(stat(path), /ENOENT/);
  });

  it("ends a call at its deadline before a slow application answers, and the application sees the cancellation", async () => {
    const cancelled = Promise.withResolvers<void>();
    const application = new Server();
    const method = {
      path: "/shop.Orders/Slow",
      requestStream: false,
      responseStream: false,
      requestSerialize: (value: Buffer) => value,
      requestDeserialize: (value: Buffer) => value,
      responseSerialize: (value: Buffer) => value,
      responseDeserialize: (value: Buffer) => value,
    } as const;
    application.addService(
      { slow: method },
      { slow: (call: NodeJS.EventEmitter) => call.on("cancelled", () => cancelled.resolve()) },
    );
    const port = await new Promise<number>((resolve, reject) =>
      application.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    await using served = await serve({ orders: { endpoints: [`127.0.0.1:${port}`], protocol: "grpc" } });
    const message = { method: "/shop.Orders/Slow", data: undefined, contentType: "", httpExtension: undefined };
    const error = await failed<unknown>((done) =>
      served.runtime.invokeService({ id: "orders", message }, new Metadata(), { deadline: Date.now() + 300 }, done),
    );
    assert.equal(error.code, status.DEADLINE_EXCEEDED);
    await cancelled.promise;
    application.forceShutdown();
  });

  it("hangs up on a slow HTTP application when the caller cancels", async () => {
    const arrived = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    await using application = createServer((_, response) => {
      response.on("close", () => gone.resolve());
      arrived.resolve();
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => application.once("listening", resolve));
    const { port } = application.address() as AddressInfo;
    await using served = await serve({ shop: { endpoints: [`127.0.0.1:${port}`] } });
    const message = { method: "/slow", data: undefined, contentType: "", httpExtension: undefined };
    const outcome = Promise.withResolvers<ServiceError | null>();
    const call = served.runtime.invokeService({ id: "shop", message }, (error: ServiceError | null) =>
      outcome.resolve(error),
    );
    await arrived.promise;
    call.cancel();
    assert.equal((await outcome.promise)?.code, status.CANCELLED);
    await gone.promise;
  });

  it("lets calls in flight end while it drains, and takes no new connection", async () => {
    const arrived = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    await using application = createServer(async (_, response) => {
      arrived.resolve();
      await release.promise;
      response.end("done");
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => application.once("listening", resolve));
    const { port } = application.address() as AddressInfo;
    await using served = await serve({ shop: { endpoints: [`127.0.0.1:${port}`] } });
    const message = { method: "/slow", data: undefined, contentType: "", httpExtension: undefined };
    const answer = answered<{ data: { value: Uint8Array } | undefined }>((done) =>
      served.runtime.invokeService({ id: "shop", message }, done),
    );
    await arrived.promise;
    const drained = served.listener.drain(10_000);
    const late = serviceClient(RuntimeService, served.address);
    const refused = await failed<unknown>((done) =>
      late.sayHello({ serviceName: "", name: "", data: undefined }, done),
    );
    assert.equal(refused.code, status.UNAVAILABLE);
    late.close();
    release.resolve();
    assert.equal(Buffer.from((await answer).data?.value ?? []).toString(), "done");
    await drained;
  });
});

describe("health and reflection", () => {
  it("tells health, and its changes to watchers", async () => {
    await using served = await serve();
    const client = serviceClient(HealthService, served.address);
    const check = (service: string) => (done: Callback<{ status: number }>) => client.check({ service }, done);
    assert.equal((await answered(check(""))).status, HealthCheckResponse_ServingStatus.NOT_SERVING);
    const watch = client.watch({ service: "spec.proto.runtime.v1.Runtime" });
    const seen: number[] = [];
    const both = new Promise<void>((resolve) =>
      watch.on("data", ({ status: now }: { status: number }) => {
        if (seen.push(now) === 1) served.health.set(true);
        else resolve();
      }),
    );
    await both;
    assert.deepEqual(seen, [HealthCheckResponse_ServingStatus.NOT_SERVING, HealthCheckResponse_ServingStatus.SERVING]);
    assert.equal((await answered(check(""))).status, HealthCheckResponse_ServingStatus.SERVING);
    assert.equal((await failed(check("unknown.Service"))).code, status.NOT_FOUND);
    watch.on("error", () => undefined).cancel();
    client.close();
  });

  it("lists the services and gives their files, in v1 and v1alpha", async () => {
    await using served = await serve();
    for (const definition of [ServerReflectionService, AlphaService]) {
      const client = serviceClient(definition, served.address);
      const stream = client.serverReflectionInfo();
      const ask = (
        messageRequest: Parameters<typeof stream.write>[0]["messageRequest"],
      ): Promise<ServerReflectionResponse["messageResponse"]> => {
        const answer = new Promise<ServerReflectionResponse["messageResponse"]>((resolve) =>
          stream.once("data", (response: ServerReflectionResponse) => resolve(response.messageResponse)),
        );
        stream.write({ host: "", messageRequest });
        return answer;
      };
      const listed = await ask({ $case: "listServices", value: "*" });
      assert.ok(listed?.$case === "listServicesResponse");
      assert.deepEqual(
        listed.value.service.map(({ name }) => name),
        [
          "grpc.health.v1.Health",
          "grpc.reflection.v1.ServerReflection",
          "grpc.reflection.v1alpha.ServerReflection",
          "spec.proto.runtime.v1.Runtime",
        ],
      );
      for (const symbol of [
        "spec.proto.runtime.v1.Runtime",
        "spec.proto.runtime.v1.Runtime.GetState",
        "spec.proto.runtime.v1.StateOptions.StateConcurrency",
      ]) {
        const files = await ask({ $case: "fileContainingSymbol", value: symbol });
        assert.ok(files?.$case === "fileDescriptorResponse", symbol);
        const fileNames = files.value.fileDescriptorProto.map(
          (bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name,
        );
        assert.deepEqual(fileNames.sort(), [
          "google/protobuf/any.proto",
          "google/protobuf/empty.proto",
          "spec/proto/runtime/v1/runtime.proto",
        ]);
      }
      const missing = await ask({ $case: "fileByFilename", value: "none.proto" });
      assert.ok(missing?.$case === "errorResponse" && missing.value.errorCode === status.NOT_FOUND);
      const ended = new Promise((resolve) => stream.once("end", resolve));
      stream.end();
      await ended;
      client.close();
    }
  });
});
