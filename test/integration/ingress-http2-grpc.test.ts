import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EchoClient, serveGrpc, status, statusOf } from "./ingress-http2-rig.ts";
import { openRig, Plugins } from "./ingress-rig.ts";

const upstreamAt = (address: string) => ({ backend: { endpoints: [address], protocol: "grpc" } });

for (const [how, filters] of [
  ["whose frames are forwarded", []],
  ["through a filter", ["look"]],
] as const) {
  describe(`gRPC ${how}`, () => {
    const open = async (address: string) =>
      openRig({
        ingress: { routes: [{ match: { prefix: "/" }, to: { upstream: "backend" }, filters }] },
        upstreams: upstreamAt(address),
        plugins: new Plugins().add("look", () => ({})),
      });

    it("answers unary calls, with metadata and trailers", async () => {
      await using backend = await serveGrpc();
      await using rig = await open(backend.address);
      using client = new EchoClient(rig.ingress.address);
      const answer = await client.unary("hello", { user: "ann" });
      assert.deepEqual([answer.code, answer.message], [status.OK, "hello"]);
      assert.deepEqual(answer.head?.get("got-user"), ["ann"]);
      assert.deepEqual(answer.head?.get("got-x-forwarded-for"), ["127.0.0.1"]);
      assert.match(String(answer.head?.get("got-x-request-id")[0]), /^[0-9a-f-]{36}$/);
      assert.deepEqual(answer.trailers.get("took"), ["1ms"]);
    });

    it("passes a status on, with its message and trailers", async () => {
      await using backend = await serveGrpc();
      await using rig = await open(backend.address);
      using client = new EchoClient(rig.ingress.address);
      const answer = await client.unary("hello", { fail: "7" });
      assert.deepEqual([answer.code, answer.details], [status.PERMISSION_DENIED, "failed: 100 % sure, déjà vu"]);
      assert.deepEqual(answer.trailers.get("why"), ["it was asked for"]);
    });

    it("streams up", async () => {
      await using backend = await serveGrpc();
      await using rig = await open(backend.address);
      using client = new EchoClient(rig.ingress.address);
      const { call, answer } = client.upload();
      for (let at = 0; at < 50; at += 1) call.write(Buffer.alloc(30_000));
      call.end();
      assert.equal(String(await answer), String(50 * 30_000));
    });

    it("streams down", async () => {
      await using backend = await serveGrpc();
      await using rig = await open(backend.address);
      using client = new EchoClient(rig.ingress.address);
      const call = client.download("100x20000");
      let total = 0;
      for await (const part of call) total += part.length;
      assert.equal(total, 100 * 20_000);
    });

    it("streams both ways at once", async () => {
      await using backend = await serveGrpc();
      await using rig = await open(backend.address);
      using client = new EchoClient(rig.ingress.address);
      const call = client.talk();
      const ended = statusOf(call);
      const heard: string[] = [];
      const said = ["one", "two", "three"];
      call.write(Buffer.from("one"));
      call.on("data", (part: Buffer) => {
        heard.push(part.toString());
        const next = said[heard.length];
        if (next === undefined) call.end();
        else call.write(Buffer.from(next));
      });
      assert.equal((await ended).code, status.OK);
      assert.deepEqual(heard, said);
    });

    it("gives a call up at the upstream when the client cancels it", async () => {
      const cancelled = Promise.withResolvers<void>();
      await using backend = await serveGrpc({
        talk: (call: import("@grpc/grpc-js").ServerDuplexStream<Buffer, Buffer>) => {
          call.on("cancelled", () => cancelled.resolve());
          call.on("error", () => undefined);
          call.write(Buffer.from("begun"));
        },
      });
      await using rig = await open(backend.address);
      using client = new EchoClient(rig.ingress.address);
      const call = client.talk();
      const ended = statusOf(call);
      call.on("data", () => call.cancel());
      assert.equal((await ended).code, status.CANCELLED);
      await cancelled.promise;
      assert.equal((await rig.record()).flags[0], "DC");
    });

    it("tells a deadline to the upstream and keeps it", async () => {
      const deadlines: number[] = [];
      await using backend = await serveGrpc({
        unary: (call: import("@grpc/grpc-js").ServerUnaryCall<Buffer, Buffer>) => {
          deadlines.push(Number(call.getDeadline()) - Date.now());
        },
      });
      await using rig = await open(backend.address);
      using client = new EchoClient(rig.ingress.address);
      const call = client.client.makeUnaryRequest(
        "/test.Echo/Unary",
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        Buffer.alloc(1),
        { deadline: Date.now() + 300 },
        () => undefined,
      );
      assert.equal((await statusOf(call)).code, status.DEADLINE_EXCEEDED);
      assert.ok((deadlines[0] ?? 0) > 0 && (deadlines[0] ?? 0) <= 300);
    });

    it("answers UNAVAILABLE when the upstream cannot be reached", async () => {
      const gone = await serveGrpc();
      await gone[Symbol.asyncDispose]();
      await using rig = await open(gone.address);
      using client = new EchoClient(rig.ingress.address);
      const answer = await client.unary("hello");
      assert.deepEqual([answer.code, answer.details], [status.UNAVAILABLE, "cannot connect to upstream 'backend'"]);
      const { status: code, flags, details } = await rig.record();
      assert.deepEqual([code, flags, details], [200, ["UF"], "upstream_connect_failure"]);
    });

    it("ends with UNAVAILABLE when the upstream dies in the middle", async () => {
      await using backend = await serveGrpc();
      await using rig = await open(backend.address);
      using client = new EchoClient(rig.ingress.address);
      const call = client.talk();
      const ended = statusOf(call);
      call.write(Buffer.from("one"));
      call.once("data", () => backend.server.forceShutdown());
      assert.equal((await ended).code, status.UNAVAILABLE);
    });
  });
}

describe("gRPC that goes nowhere", () => {
  it("is UNIMPLEMENTED without a route, and the others are served", async () => {
    await using backend = await serveGrpc();
    await using rig = await openRig({
      ingress: { routes: [{ match: { prefix: "/test.Echo/" }, to: { upstream: "backend" } }] },
      upstreams: upstreamAt(backend.address),
    });
    using client = new EchoClient(rig.ingress.address);
    const answer = await client.unary("x", {}, "/other.Service/Call");
    assert.deepEqual([answer.code, answer.details], [status.UNIMPLEMENTED, "no route matches the request"]);
    assert.equal((await client.unary("x")).code, status.OK);
  });

  it("is UNAVAILABLE when a plugin of its route is missing", async () => {
    await using backend = await serveGrpc();
    await using rig = await openRig({
      ingress: { routes: [{ match: { prefix: "/" }, to: { upstream: "backend" }, filters: ["absent"] }] },
      upstreams: upstreamAt(backend.address),
    });
    using client = new EchoClient(rig.ingress.address);
    const answer = await client.unary("x");
    assert.deepEqual([answer.code, answer.details], [status.UNAVAILABLE, "plugin 'absent' cannot serve now"]);
  });

  it("reaches the application at its gRPC address", async () => {
    await using backend = await serveGrpc();
    await using rig = await openRig({
      ingress: { routes: [{ match: { prefix: "/" }, to: { app: true } }] },
      grpcApp: backend.address,
    });
    using client = new EchoClient(rig.ingress.address);
    assert.equal((await client.unary("hello")).message, "hello");
  });
});
