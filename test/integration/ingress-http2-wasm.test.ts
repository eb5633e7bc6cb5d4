/** A real Proxy-Wasm guest between a gRPC client and a gRPC server. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { stringify } from "yaml";
import { makeArtifact } from "../../runtime/plugin/artifact.ts";
import { proxyWasmEngine } from "../../runtime/proxy-wasm/engine.ts";
import { openRegistry } from "../support/plugin-registry.ts";
import { drop, guestText } from "../support/proxy-wasm-guest.ts";
import { assemble } from "../support/wat.ts";
import { EchoClient, serveGrpc, status, statusOf } from "./ingress-http2-rig.ts";
import { openRig } from "./ingress-rig.ts";

const map = { requestHeaders: 0, responseHeaders: 2, responseTrailers: 3 };
const requestBody = 0;

/** Sets a header each way and a trailer, and writes a J over the first octet of a message that comes alone. */
const changing = await assemble(
  "changing",
  guestText((text) => ({
    on: {
      proxy_on_request_headers: `
        ${drop(`(call $proxy_replace_header_map_value (i32.const ${map.requestHeaders}) ${text("user")} ${text("wasm")})`)}
        (i32.const 0)`,
      proxy_on_request_body: `
        (if (i32.gt_u (local.get $size) (i32.const 5))
          (then ${drop(`(call $proxy_set_buffer_bytes (i32.const ${requestBody}) (i32.const 5) (i32.const 1) ${text("J")})`)}))
        (i32.const 0)`,
      proxy_on_response_headers: `
        ${drop(`(call $proxy_add_header_map_value (i32.const ${map.responseHeaders}) ${text("x-served-by")} ${text("guest")})`)}
        (i32.const 0)`,
      proxy_on_response_trailers: `
        ${drop(`(call $proxy_replace_header_map_value (i32.const ${map.responseTrailers}) ${text("took")} ${text("2ms")})`)}
        (i32.const 0)`,
    },
  })),
);

/** Answers every call itself, with status 8 of gRPC. */
const refusing = await assemble(
  "refusing",
  guestText((text) => ({
    on: {
      proxy_on_request_headers: `
        ${drop(`(call $proxy_send_local_response (i32.const 429) ${text("limited")} ${text("slow down")} (i32.const 0) (i32.const 0) (i32.const 8))`)}
        (i32.const 1)`,
    },
  })),
);

async function openThrough(module: Uint8Array<ArrayBuffer>, address: string) {
  await using opening = new AsyncDisposableStack();
  const { registry } = opening.use(openRegistry({ engines: [proxyWasmEngine()] }));
  await registry.deploy(
    makeArtifact(module, "guest.wasm", { text: stringify({ name: "guest", kind: "filter" }), path: "guest.yaml" }),
  );
  const rig = opening.use(
    await openRig({
      ingress: { routes: [{ match: { prefix: "/" }, to: { upstream: "backend" }, filters: ["guest"] }] },
      upstreams: { backend: { endpoints: [address], protocol: "grpc" } },
      source: registry,
    }),
  );
  const owned = opening.move();
  return { rig, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describe("a Proxy-Wasm guest on gRPC calls", () => {
  it("changes metadata, messages and trailers", async () => {
    await using backend = await serveGrpc();
    await using open = await openThrough(changing, backend.address);
    using client = new EchoClient(open.rig.ingress.address);
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.unary("hello", { user: "ann" })));
    for (const answer of answers) {
      assert.deepEqual([answer.code, answer.message], [status.OK, "Jello"]);
      assert.deepEqual(answer.head?.get("got-user"), ["wasm"]);
      assert.deepEqual(answer.head?.get("x-served-by"), ["guest"]);
      assert.deepEqual(answer.trailers.get("took"), ["2ms"]);
    }
  });

  it("lets streams pass both ways", async () => {
    await using backend = await serveGrpc();
    await using open = await openThrough(changing, backend.address);
    using client = new EchoClient(open.rig.ingress.address);
    const call = client.talk();
    const ended = statusOf(call);
    const heard: string[] = [];
    call.on("data", (part: Buffer) => {
      heard.push(part.toString());
      if (heard.length === 3) call.end();
      else call.write(Buffer.from("more"));
    });
    call.write(Buffer.from("more"));
    assert.equal((await ended).code, status.OK);
    assert.deepEqual(heard, ["Jore", "Jore", "Jore"]);
  });

  it("answers in place of the server with a status of gRPC", async () => {
    await using open = await openThrough(refusing, "127.0.0.1:1");
    using client = new EchoClient(open.rig.ingress.address);
    const answer = await client.unary("hello");
    assert.deepEqual([answer.code, answer.details], [status.RESOURCE_EXHAUSTED, "slow down"]);
  });
});
