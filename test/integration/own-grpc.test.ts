/** The sidecar speaks gRPC on its own: grpc-js belongs to the SDK and to tests. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import {
  AppCallbackService,
  type ListTopicSubscriptionsResponse,
} from "../../proto/gen/spec/proto/runtime/v1/appcallback.ts";
import {
  type InvokeResponse,
  RuntimeService,
  SayHelloRequest,
  SayHelloResponse,
  TopicEventResponse_TopicEventResponseStatus as Status,
  type TopicEventRequest,
  type TopicEventResponse,
} from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { serviceClient } from "../support/service-client.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";

/** Lets nothing load grpc-js, by import or by require. */
const hook = `
import { registerHooks } from "node:module";
registerHooks({
  load(url, context, next) {
    if (url.includes("/@grpc/grpc-js/")) throw new Error("grpc-js was loaded");
    return next(url, context);
  },
});`;
const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(hook)}`;

/** An application: it wants the topic `orders`, and greets. */
async function openApplication() {
  const { promise: received, resolve } = Promise.withResolvers<TopicEventRequest>();
  const server = new Server();
  server.addService(AppCallbackService, {
    listTopicSubscriptions: (_: unknown, done: sendUnaryData<ListTopicSubscriptionsResponse>) =>
      done(null, { subscriptions: [{ pubsubName: "events", topic: "orders", metadata: {} }] }),
    onTopicEvent: (
      { request }: ServerUnaryCall<TopicEventRequest, TopicEventResponse>,
      done: sendUnaryData<TopicEventResponse>,
    ) => {
      done(null, { status: Status.SUCCESS });
      resolve(request);
    },
  });
  server.addService(
    { sayHello: RuntimeService.sayHello },
    {
      sayHello: (
        { request }: ServerUnaryCall<SayHelloRequest, SayHelloResponse>,
        done: sendUnaryData<SayHelloResponse>,
      ) => done(null, { hello: `hello ${request.name}`, data: undefined }),
    },
  );
  const port = await new Promise<number>((settle, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? settle(bound) : reject(error),
    );
  });
  const dispose = async (): Promise<void> => server.forceShutdown();
  return { address: `127.0.0.1:${port}`, received, [Symbol.asyncDispose]: dispose };
}

describe("the started sidecar", () => {
  it("serves the API, calls the application and invokes services without ever loading grpc-js", async () => {
    await using application = await openApplication();
    await using directory = await temporaryDirectory();
    await using sidecar = await startSidecar(
      directory.path,
      {
        app: { id: "shop", grpc: application.address },
        components: { pubsub: { events: { type: "memory" } }, state: { orders: { type: "memory" } } },
        upstreams: { billing: { endpoints: [application.address], protocol: "grpc" } },
      },
      { NODE_OPTIONS },
    );
    const client = serviceClient(RuntimeService, sidecar.grpc);
    await sidecar.logged(({ msg }) => msg === "the application is subscribed");
    await new Promise<void>((resolve, reject) => {
      const event = {
        pubsubName: "events",
        topic: "orders",
        data: Buffer.from("1"),
        dataContentType: "",
        metadata: {},
      };
      client.publishEvent(event, (error) => (error === null ? resolve() : reject(error)));
    });
    assert.equal(Buffer.from((await application.received).data).toString(), "1");
    const answer = await new Promise<InvokeResponse>((resolve, reject) => {
      const value = SayHelloRequest.encode(SayHelloRequest.create({ name: "you" })).finish();
      const message = {
        method: "/spec.proto.runtime.v1.Runtime/SayHello",
        data: { typeUrl: "", value },
        contentType: "",
        httpExtension: undefined,
      };
      client.invokeService({ id: "billing", message }, (error, reply) =>
        error === null ? resolve(reply) : reject(error),
      );
    });
    assert.equal(SayHelloResponse.decode(answer.data?.value ?? new Uint8Array()).hello, "hello you");
    client.close();
    assert.equal((await sidecar.stop()).code, 0);
  });

  it("would not start if it did", async () => {
    const child = spawn(process.execPath, ["--input-type=module", "--eval", 'import "@grpc/grpc-js"'], {
      env: { ...process.env, NODE_OPTIONS },
      stdio: "ignore",
    });
    const [code] = (await once(child, "exit")) as [number];
    assert.equal(code, 1);
  });
});
