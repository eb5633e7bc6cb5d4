/** What the numbers do to a message with which a Proxy-Wasm guest ends its callbacks: 0 to 4 for a head, 0 to 3 for a body. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { stringify } from "yaml";
import { makeArtifact } from "../../runtime/plugin/artifact.ts";
import { proxyWasmEngine } from "../../runtime/proxy-wasm/engine.ts";
import { openRegistry } from "../support/plugin-registry.ts";
import { drop, guestText, out, say } from "../support/proxy-wasm-guest.ts";
import { TestServices } from "../support/proxy-wasm-host.ts";
import { assemble } from "../support/wat.ts";
import { openRig, serve } from "./ingress-rig.ts";

const maxBufferBytes = 1000;
const [request, response] = [0, 1];
type Direction = "request" | "response";
type Protocol = "HTTP/1.1" | "HTTP/2";

interface Numbers {
  readonly head?: number;
  readonly body?: number;
}

/**
 * Ends the callbacks of a direction with these numbers, until a request with `x-resume` comes: that resumes the stream, and from
 * then on all goes on. So does the end of a body. Logs 100 for the head, and what is shown of the body each time.
 */
const answering = (direction: Direction, { head = 0, body = 0 }: Numbers) =>
  assemble(
    `answering-${direction}`,
    guestText((place) => ({
      fields: "(global $held (mut i32) (i32.const 0)) (global $goes (mut i32) (i32.const 0))",
      on: {
        proxy_on_request_headers: `
          (if (i32.eqz (call $proxy_get_header_map_value (i32.const 0) ${place("x-resume")} ${out}))
            (then
              (global.set $goes (i32.const 1))
              ${drop("(call $proxy_set_effective_context (global.get $held))")}
              ${drop(`(call $proxy_continue_stream (i32.const ${direction === "request" ? request : response}))`)}
              (return (i32.const 0))))
          (global.set $held (local.get $id))
          ${direction === "request" ? `${say("(i32.const 100)")} (i32.const ${head})` : "(i32.const 0)"}`,
        ...(direction === "response" && {
          proxy_on_response_headers: `
            (if (i32.ne (local.get $id) (global.get $held)) (then (return (i32.const 0))))
            ${say("(i32.const 100)")} (i32.const ${head})`,
        }),
        [`proxy_on_${direction}_body`]: `
          (if (i32.ne (local.get $id) (global.get $held)) (then (return (i32.const 0))))
          ${say("(local.get $size)")}
          (select (i32.const 0) (i32.const ${body}) (i32.or (local.get $end) (global.get $goes)))`,
      },
    })),
  );

/** What writes the body that the guest is shown. */
interface Source {
  write(text: string): unknown;
  end(): unknown;
}

interface Sending extends Source {
  readonly answer: Promise<{ readonly status: number; readonly body: string }>;
}

/** Begins a request of that protocol. */
function begin(protocol: Protocol, port: number, path: string, owner: AsyncDisposableStack): Sending {
  if (protocol === "HTTP/1.1") {
    const sent = http.request({ port, host: "127.0.0.1", method: "POST", path, agent: false });
    sent.flushHeaders();
    owner.defer(() => void sent.destroy());
    const answer = once(sent, "response").then(async ([got]: http.IncomingMessage[]) => {
      if (got === undefined) throw new Error("no response came");
      return { status: got.statusCode ?? 0, body: await text(got) };
    });
    sent.on("error", () => undefined);
    return { write: (chunk) => sent.write(chunk), end: () => sent.end(), answer };
  }
  const session = http2.connect(`http://127.0.0.1:${port}`);
  owner.defer(() => session.destroy());
  const sent = session.request({ ":method": "POST", ":path": path });
  const answer = once(sent, "response").then(async ([got]) => ({
    status: Number(got[":status"]),
    body: await text(sent),
  }));
  sent.on("error", () => undefined);
  return { write: (chunk) => sent.write(chunk), end: () => sent.end(), answer };
}

/**
 * A message through a guest that answers so: `source` writes it, `arrived` resolves to its status and to the body that comes
 * out behind the guest.
 */
async function open(protocol: Protocol, direction: Direction, numbers: Numbers, manifest: object = {}) {
  await using opening = new AsyncDisposableStack();
  const answered = Promise.withResolvers<http.ServerResponse>();
  const backend = opening.use(
    await serve(async (asked, reply) => {
      if (asked.url === "/resume") reply.end("resumed");
      else if (direction === "request") reply.end(await text(asked));
      else {
        reply.flushHeaders();
        answered.resolve(reply);
      }
    }),
  );
  const services = new TestServices();
  const { registry } = opening.use(openRegistry({ engines: [proxyWasmEngine()], services: () => services }));
  const described = { text: stringify({ name: "guest", ...manifest }), path: "guest.yaml" };
  await registry.deploy(makeArtifact(await answering(direction, numbers), "guest.wasm", described));
  const rig = opening.use(
    await openRig({
      ingress: {
        maxBufferBytes,
        routes: [{ match: { prefix: "/" }, to: { upstream: "backend" }, filters: ["guest"] }],
      },
      upstreams: { backend: { endpoints: [backend.address] } },
      source: registry,
    }),
  );
  const sending = begin(protocol, rig.port, "/", opening);
  if (direction === "response") sending.end();
  const owned = opening.move();
  return {
    source: direction === "request" ? sending : ((await answered.promise) as Source),
    arrived: sending.answer,
    lines: services.lines,
    told: (line: string, times = 1) => services.loggedTimes(line, times),
    resume: () => rig.send({ path: "/resume", headers: { "x-resume": "1" } }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

for (const protocol of ["HTTP/1.1", "HTTP/2"] as const)
  for (const direction of ["request", "response"] as const)
    describe(`a guest that ends the callbacks of a ${direction} over ${protocol}`, () => {
      const refused = direction === "request" ? 413 : 500;

      for (const head of [0, 2])
        it(`lets the head go on by ${head}, and the body after it`, async () => {
          await using through = await open(protocol, direction, { head });
          await through.told("100");
          through.source.write("aaa");
          await through.told("3");
          through.source.end();
          assert.deepEqual(await through.arrived, { status: 200, body: "aaa" });
        });

      for (const head of [1, 3, 4])
        it(`holds all by ${head} for the head until it resumes`, async () => {
          await using through = await open(protocol, direction, { head });
          await through.told("100");
          through.source.write("aaa");
          await through.resume();
          through.source.end();
          assert.deepEqual(await through.arrived, { status: 200, body: "aaa" });
          assert.equal(through.lines[0], "100");
        });

      it("takes in by 3 for the head as much as may be held back, and no more", async () => {
        await using through = await open(protocol, direction, { head: 3 });
        await through.told("100");
        through.source.write("x".repeat(3 * maxBufferBytes));
        assert.equal((await through.arrived).status, refused);
        assert.deepEqual(through.lines, ["100"]);
      });

      for (const head of [1, 4])
        it(`holds the source back by ${head} for the head, however much is to come`, async () => {
          await using through = await open(protocol, direction, { head });
          await through.told("100");
          const body = "x".repeat(300 * maxBufferBytes);
          through.source.write(body);
          through.source.end();
          await through.resume();
          assert.deepEqual(await through.arrived, { status: 200, body });
        });

      it("is shown the body by 1 for the head where its manifest says so", async () => {
        await using through = await open(
          protocol,
          direction,
          { head: 1, body: 1 },
          { allowOnHeadersStopIteration: true },
        );
        through.source.write("aaa");
        await through.told("3");
        through.source.end();
        assert.deepEqual(await through.arrived, { status: 200, body: "aaa" });
      });

      for (const [body, sizes, whole] of [
        [0, ["3", "3", "0"], "aaabbb"],
        [1, ["3", "6", "6"], "aaabbb"],
        [2, ["3", "3", "0"], "aaabbb"],
        [3, ["3", "3", "0"], ""],
      ] as const)
        it(`by ${body} for the body is shown ${sizes.join(", ")} of it, and '${whole}' goes on`, async () => {
          await using through = await open(protocol, direction, { body });
          through.source.write("aaa");
          await through.told("3");
          through.source.write("bbb");
          if (sizes[1] === "6") await through.told("6");
          else await through.told("3", 2);
          through.source.end();
          assert.deepEqual(await through.arrived, { status: 200, body: whole });
          assert.deepEqual(through.lines, ["100", ...sizes]);
        });

      it("gathers by 1 for the body as much as may be held back, and no more", async () => {
        await using through = await open(protocol, direction, { body: 1 });
        through.source.write("x".repeat(600));
        await through.told("600");
        through.source.write("x".repeat(600));
        // The head of a response is out by then.
        if (direction === "request") assert.equal((await through.arrived).status, refused);
        else await assert.rejects(through.arrived);
        assert.equal(through.lines.at(-1), "1200");
      });

      it("holds the source back by 2 for the body, however much is to come, and resumes with all of it", async () => {
        await using through = await open(protocol, direction, { body: 2 });
        through.source.write("x".repeat(600));
        await through.told("600");
        through.source.write("x".repeat(601));
        await through.told("601");
        const rest = "y".repeat(300 * maxBufferBytes);
        through.source.write(rest);
        through.source.end();
        await through.resume();
        assert.deepEqual(await through.arrived, { status: 200, body: "x".repeat(1201) + rest });
      });
    });
