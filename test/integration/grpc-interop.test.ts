/** The cases of gRPC's interoperability tests with grpc-js as the client: our transport, and the oracle beside it. */
import assert from "node:assert/strict";
import { on, once } from "node:events";
import { describe, it } from "node:test";
import { Client, credentials, Metadata, type MethodDefinition, type ServiceError, status } from "@grpc/grpc-js";
import { http2Transport } from "../../runtime/grpc/http2-transport.ts";
import { connected } from "../support/grpc-echo.ts";
import { echoed, serveInterop, testService, unknownMethod } from "../support/grpc-interop-service.ts";
import { grpcJsTransport } from "../support/grpc-js/grpc-js-transport.ts";

const serveFor = async (transport: typeof http2Transport) => {
  const open = new AsyncDisposableStack();
  const { address } = open.use(await serveInterop(transport));
  const client = new Client(address, credentials.createInsecure());
  open.defer(() => client.close());
  await connected(client);
  return { client, [Symbol.asyncDispose]: () => open.disposeAsync() };
};

type Method<QIn, R> = Pick<MethodDefinition<QIn, unknown>, "path" | "requestSerialize"> & {
  readonly responseDeserialize: (bytes: Buffer) => R;
};

interface Answered<R> {
  readonly code: number;
  readonly details: string;
  readonly response: R | undefined;
  readonly initial: Metadata;
  readonly trailing: Metadata;
}

function unary<QIn, R>(client: Client, method: Method<QIn, R>, request: QIn, metadata = new Metadata()) {
  return new Promise<Answered<R>>((resolve) => {
    let initial = new Metadata();
    let error: ServiceError | null = null;
    let response: R | undefined;
    const { path, requestSerialize, responseDeserialize } = method;
    const call = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      (failed, one) => {
        error = failed;
        response = one;
      },
    );
    call.on("metadata", (received) => {
      initial = received;
    });
    call.on("status", ({ code, details, metadata: trailing }) =>
      setImmediate(() => resolve({ code, details: error?.details ?? details, response, initial, trailing })),
    );
  });
}

const duplex = (client: Client, metadata = new Metadata(), options = {}) => {
  const { path, requestSerialize, responseDeserialize } = testService.fullDuplexCall;
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata, options);
  return { stream, ended: endOf(stream) };
};

/** `once` would take the error that comes beside a status for its own. */
function endOf(stream: NodeJS.EventEmitter): Promise<{ code: number; details: string; metadata: Metadata }> {
  stream.on("error", () => undefined);
  return new Promise((resolve) => stream.once("status", resolve));
}

const echoMetadata = (): Metadata => {
  const metadata = new Metadata();
  metadata.set(echoed.initial, "test_initial_metadata_value");
  metadata.set(echoed.trailing, Buffer.from([0xab, 0xab, 0xab]));
  return metadata;
};
const isEchoed = (initial: Metadata, trailing: Metadata): void => {
  assert.deepEqual(initial.get(echoed.initial), ["test_initial_metadata_value"]);
  assert.deepEqual(trailing.get(echoed.trailing), [Buffer.from([0xab, 0xab, 0xab])]);
};

const special = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";

for (const [name, transport] of Object.entries({ http2Transport, grpcJsTransport })) {
  describe(`the interoperability cases on ${name}`, () => {
    it("empty_unary", async () => {
      await using served = await serveFor(transport);
      const { code, response } = await unary(served.client, testService.emptyCall, {});
      assert.deepEqual([code, response], [status.OK, {}]);
    });

    it("large_unary", async () => {
      await using served = await serveFor(transport);
      const request = { responseSize: 314_159, payload: new Uint8Array(271_828) };
      const { code, response } = await unary(served.client, testService.unaryCall, request);
      assert.deepEqual([code, response?.length], [status.OK, 314_159]);
    });

    it("client_streaming", async () => {
      await using served = await serveFor(transport);
      const { path, requestSerialize, responseDeserialize } = testService.streamingInputCall;
      const size = await new Promise((resolve, reject) => {
        const call = served.client.makeClientStreamRequest(path, requestSerialize, responseDeserialize, (error, one) =>
          error === null ? resolve(one) : reject(error),
        );
        for (const length of [27_182, 8, 1_828, 45_904]) call.write(new Uint8Array(length));
        call.end();
      });
      assert.equal(size, 74_922);
    });

    it("server_streaming", async () => {
      await using served = await serveFor(transport);
      const { path, requestSerialize, responseDeserialize } = testService.streamingOutputCall;
      const responses = [31_415, 9, 2_653, 58_979].map((size) => ({ size, intervalUs: 0 }));
      const call = served.client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, { responses });
      const ended = endOf(call);
      const sizes: number[] = [];
      for await (const body of call) sizes.push(body.length);
      assert.deepEqual([sizes, (await ended).code], [[31_415, 9, 2_653, 58_979], status.OK]);
    });

    it("ping_pong", async () => {
      await using served = await serveFor(transport);
      const { stream, ended } = duplex(served.client);
      const responses = on(stream, "data");
      const sizes: number[] = [];
      for (const [asked, sent] of [
        [31_415, 27_182],
        [9, 8],
        [2_653, 1_828],
        [58_979, 45_904],
      ] as const) {
        stream.write({ responses: [{ size: asked, intervalUs: 0 }], payload: new Uint8Array(sent) });
        const { value } = await responses.next();
        sizes.push(value?.[0].length);
      }
      stream.end();
      assert.deepEqual([sizes, (await ended).code], [[31_415, 9, 2_653, 58_979], status.OK]);
    });

    it("empty_stream", async () => {
      await using served = await serveFor(transport);
      const { stream, ended } = duplex(served.client);
      stream.end();
      assert.deepEqual(await Array.fromAsync(stream), []);
      assert.equal((await ended).code, status.OK);
    });

    it("cancel_after_begin", async () => {
      await using served = await serveFor(transport);
      const { path, requestSerialize, responseDeserialize } = testService.streamingInputCall;
      const error = await new Promise<ServiceError | null>((resolve) => {
        served.client.makeClientStreamRequest(path, requestSerialize, responseDeserialize, resolve).cancel();
      });
      assert.equal(error?.code, status.CANCELLED);
    });

    it("cancel_after_first_response", async () => {
      await using served = await serveFor(transport);
      const { stream, ended } = duplex(served.client);
      stream.write({ responses: [{ size: 31_415, intervalUs: 0 }], payload: new Uint8Array(27_182) });
      await once(stream, "data");
      stream.cancel();
      assert.equal((await ended).code, status.CANCELLED);
    });

    it("timeout_on_sleeping_server", async () => {
      await using served = await serveFor(transport);
      await unary(served.client, testService.emptyCall, {});
      const { stream, ended } = duplex(served.client, undefined, { deadline: Date.now() + 1 });
      stream.write({ payload: new Uint8Array(27_182) });
      stream.resume();
      assert.equal((await ended).code, status.DEADLINE_EXCEEDED);
    });

    it("custom_metadata", async () => {
      await using served = await serveFor(transport);
      const request = { responseSize: 1, payload: new Uint8Array(1) };
      const answered = await unary(served.client, testService.unaryCall, request, echoMetadata());
      assert.equal(answered.code, status.OK);
      isEchoed(answered.initial, answered.trailing);

      const { stream, ended } = duplex(served.client, echoMetadata());
      const head = once(stream, "metadata");
      stream.write({ responses: [{ size: 1, intervalUs: 0 }], payload: new Uint8Array(1) });
      stream.end();
      stream.resume();
      const { code, metadata } = await ended;
      assert.equal(code, status.OK);
      isEchoed((await head)[0], metadata);
    });

    it("status_code_and_message", async () => {
      await using served = await serveFor(transport);
      const responseStatus = { code: status.UNKNOWN, message: "test status message" };
      const { code, details } = await unary(served.client, testService.unaryCall, { responseStatus });
      assert.deepEqual({ code, message: details }, responseStatus);
      const { stream, ended } = duplex(served.client);
      stream.write({ responseStatus });
      stream.end();
      stream.resume();
      const failed = await ended;
      assert.deepEqual({ code: failed.code, message: failed.details }, responseStatus);
    });

    it("special_status_message", async () => {
      await using served = await serveFor(transport);
      const responseStatus = { code: status.UNKNOWN, message: special };
      const { code, details } = await unary(served.client, testService.unaryCall, { responseStatus });
      assert.deepEqual({ code, message: details }, responseStatus);
    });

    it("unimplemented_method", async () => {
      await using served = await serveFor(transport);
      const { code } = await unary(served.client, testService.unimplementedCall, {});
      assert.equal(code, status.UNIMPLEMENTED);
    });

    it("unimplemented_service", async () => {
      await using served = await serveFor(transport);
      const { code } = await unary(served.client, unknownMethod, {});
      assert.equal(code, status.UNIMPLEMENTED);
    });
  });
}
