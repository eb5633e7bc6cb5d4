/** Clients that go away, or do not read, or send nothing: they harm their own requests, and never the component that serves them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFile, writeFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { stringify } from "yaml";
import { eventually } from "../conformance/backend.ts";
import { send, serve } from "../integration/ingress-rig.ts";
import { ProgramMissing } from "../support/programs.ts";
import { rustComponents } from "../support/rust-components.ts";
import { type LogLine, type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const buildMs = 600_000;
/** As many crashes in a minute would take a plugin out. */
const many = 12;
const deadlineMs = 2_000;

/** Why there is nothing to test with, where Rust is missing; in CI that is a failure. */
const built = await rustComponents().catch((error: unknown) => {
  if (!(error instanceof ProgramMissing) || process.env.CI === "true") throw error;
  return error.message;
});

describe("clients of a component", { timeout: buildMs, skip: typeof built === "string" && built }, () => {
  const opened = new AsyncDisposableStack();
  let sidecar: Sidecar;
  let port = 0;

  before(async () => {
    const component = (typeof built === "string" ? undefined : built.get("web")) ?? assert.fail("it was not built");
    const directory = opened.use(await temporaryDirectory());
    const upstream = opened.use(await serve(odd));
    const limits = {
      web: { instances: 4, deadline: `${deadlineMs}ms` },
      patient: { instances: 4, deadline: "60s", budget: "5ms" },
      hasty: { instances: 1, deadline: "200ms" },
    };
    for (const [name, given] of Object.entries(limits)) {
      await copyFile(component, join(directory.path, `plugins/${name}.wasm`));
      const manifest = {
        name,
        version: "1.0.0",
        kind: "service",
        limits: given,
        capabilities: { upstreams: ["odd"] },
      };
      await writeFile(join(directory.path, `plugins/${name}.yaml`), stringify(manifest));
    }
    sidecar = opened.use(
      await startSidecar(directory.path, {
        plugins: {
          directory: join(directory.path, "plugins"),
          grants: Object.fromEntries(Object.keys(limits).map((name) => [name, { upstreams: ["odd"] }])),
        },
        upstreams: { odd: { endpoints: [upstream.address], protocol: "http" } },
        ingress: {
          routes: [
            { match: { prefix: "/", headers: { "x-patient": "yes" } }, to: { plugin: "patient" } },
            { match: { prefix: "/", headers: { "x-hasty": "yes" } }, to: { plugin: "hasty" } },
            { match: { prefix: "/" }, to: { plugin: "web" } },
          ],
        },
      }),
    );
    port = Number(sidecar.ingress.split(":").at(-1));
  });
  after(() => opened.disposeAsync());

  const ask = (path: string, headers = {}) => send({ port, host: "127.0.0.1", agent: false, path, headers });

  /** A connection on which a request has begun. */
  async function begin(head: string): Promise<net.Socket> {
    const socket = net.connect(port, "127.0.0.1").on("error", () => undefined);
    await once(socket, "connect");
    socket.write(head);
    return socket;
  }

  /** As many lines as that, past or future. */
  async function logged(count: number, like: (line: LogLine) => boolean): Promise<void> {
    const seen = new Set<LogLine>();
    while (seen.size < count) seen.add(await sidecar.logged((line) => !seen.has(line) && like(line)));
  }

  /** Clients that begin a request of that path, and go when the sidecar has it. */
  async function leave(target: string, rest: string): Promise<void> {
    for (let left = 0; left < many; left++) {
      const socket = await begin(
        `${rest.startsWith("content") ? "POST" : "GET"} ${target} HTTP/1.1\r\nhost: x\r\n${rest}`,
      );
      await delay(20);
      socket.destroy();
    }
    await logged(many, ({ path, flags }) => path === target && String(flags) === "DC");
  }

  const noCrash = (): void =>
    assert.deepEqual(
      sidecar.log.filter(({ msg }) => /it is replaced|too often/.test(msg)).map(({ msg }) => msg),
      [],
    );

  it("may leave before their request is whole, at which the guest traps, without a crash", async () => {
    await leave("/count", "content-length: 100000\r\n\r\nabc");
    assert.equal((await ask("/hello")).body, "hello");
    await sidecar.logged(({ msg }) => /failed in handle after its exchange had ended/.test(msg));
    noCrash();
  });

  it("may leave while the guest waits, which lets its instance go long before the deadline", async () => {
    await leave("/sleep?50000", "x-patient: yes\r\n\r\n");
    await leave("/proxy", "x-patient: yes\r\nx-upstream: odd\r\nx-path: /never\r\n\r\n");
    assert.equal((await ask("/hello", { "x-patient": "yes" })).body, "hello");
    noCrash();
  });

  it("may ask for the head alone, of an answer with a body", async () => {
    for (let asked = 0; asked < many; asked++) {
      const { status } = await send({ port, host: "127.0.0.1", agent: false, path: "/hello", method: "HEAD" });
      assert.equal(status, 200);
    }
    noCrash();
  });

  it("are cut off at the deadline when they take nothing of the answer, without a crash", async () => {
    const slow = [];
    for (let opened = 0; opened < 4; opened++) {
      const request = http.get({ port, host: "127.0.0.1", path: "/produce?1000000000", agent: false });
      request.on("error", () => undefined);
      const [response] = (await once(request, "response")) as [http.IncomingMessage];
      slow.push(once(response.on("error", () => undefined).pause(), "close"));
    }
    await logged(4, ({ path, details }) => path === "/produce?1000000000" && details === "client_timeout");
    assert.equal((await ask("/hello")).body, "hello");
    noCrash();
  });

  it("are told when they send nothing of their request until the deadline", async () => {
    const socket = await begin("POST /count HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc");
    const [answer] = (await once(socket.setEncoding("utf8"), "data")) as [string];
    assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.match(answer, /the client sent nothing of the request within the 2000 ms of the plugin's limits.deadline/);
    socket.destroy();
    noCrash();
  });

  it("keep no instance for ever by a byte of their request now and then", async () => {
    const socket = await begin("POST /count HTTP/1.1\r\nhost: x\r\nx-hasty: yes\r\ncontent-length: 1000000\r\n\r\na");
    const answered = once(socket.setEncoding("utf8"), "data");
    const drip = setInterval(() => socket.write("a"), 50);
    const [answer] = (await answered) as [string];
    clearInterval(drip);
    assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.match(answer, /the client kept the plugin waiting for too long/);
    socket.destroy();
    assert.equal((await ask("/hello", { "x-hasty": "yes" })).body, "hello");
    noCrash();
  });

  it("get an answer that takes longer than the deadline, as long as it flows", async () => {
    const { status, body } = await ask("/proxy", { "x-upstream": "odd", "x-path": "/events" });
    assert.deepEqual([status, body], [200, "data: here\n\n".repeat(events)]);
    noCrash();
  });

  it("send and get more than the budget of a call is for, as long as it flows", async () => {
    const sent = "0123456789abcdef".repeat(4 * 1024 ** 2);
    const headers = { "x-patient": "yes" };
    const { body } = await send(
      { port, host: "127.0.0.1", agent: false, method: "POST", path: "/echo", headers },
      sent,
    );
    assert.ok(body === sent);
    noCrash();
  });

  it("lose an answer that stops to flow, which the plugin's log tells, without a crash", async () => {
    await assert.rejects(ask("/proxy", { "x-upstream": "odd", "x-path": "/stops" }), /aborted/);
    await sidecar.logged(
      ({ plugin, msg }) =>
        plugin === "web" &&
        /^GET \/proxy .*: nothing of the response of plugin 'web' came within the 2000 ms/.test(msg),
    );
    noCrash();
  });

  it("are told what was wrong with an answer, and so is the log of the plugin", async () => {
    const warned = (text: string) =>
      sidecar.logged(({ plugin, level, msg }) => plugin === "web" && level === 40 && msg.includes(text));
    await ask("/silent");
    await warned(
      "plugin 'web' ended without an answer: response-outparam.set takes a response, or an error (the client got 500)",
    );
    await eventually("a second call of an instance ends without an answer", async () => {
      await ask("/silent");
      const hint = "a guest that takes one only needs 'isolation: stream' in its manifest";
      return sidecar.log.some(({ plugin, msg }) => plugin === "web" && msg.endsWith(hint));
    });
    await ask("/error");
    await warned("plugin 'web' answered with the error internal-error: no stock (the client got 500)");
    await assert.rejects(ask("/unfinished"), /aborted/);
    await warned("the response of plugin 'web' has a body that it did not finish (the client was cut off)");
    await assert.rejects(ask("/declare?10,5"), /aborted/);
    await warned("the response of plugin 'web' has 5 bytes where its head declares 10 (the client was cut off)");
    await ask("/proxy", { "x-upstream": "unknown", "x-path": "/" });
    await warned(`a request to "unknown" was refused: it is no upstream that the plugin was granted`);
    noCrash();
  });
});

const events = 40;

/** An upstream that takes its time, by path. */
function odd(request: http.IncomingMessage, response: http.ServerResponse): void {
  if (request.url === "/never") return;
  if (request.url === "/stops") response.write("some of it");
  else void tell(response);
}

/** Twice as long as the deadline, and never silent for a tenth of it. */
async function tell(response: http.ServerResponse): Promise<void> {
  for (let told = 0; told < events; told++) {
    response.write("data: here\n\n");
    await delay((2 * deadlineMs) / events);
  }
  response.end();
}
