/** A server of wasi:http in Rust, test/plugins/rust-components/web, in a sidecar: each path shows one thing that a guest may do. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import http from "node:http";
import http2 from "node:http2";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import { eventually } from "../conformance/backend.ts";
import { collect, type Echoed, fieldsOf, type Server, send, serve, serveEcho } from "../integration/ingress-rig.ts";
import { ProgramMissing } from "../support/programs.ts";
import { rustComponents } from "../support/rust-components.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const buildMs = 600_000;
const largeBytes = 64 * 1024 ** 2;

/** Why there is nothing to test with, where Rust is missing; in CI that is a failure. */
const built = await rustComponents().catch((error: unknown) => {
  if (!(error instanceof ProgramMissing) || process.env.CI === "true") throw error;
  return error.message;
});

describe("a server of wasi:http", { timeout: buildMs, skip: typeof built === "string" && built }, () => {
  const opened = new AsyncDisposableStack();
  let sidecar: Sidecar;
  let echoServer: Server;
  let port = 0;

  before(async () => {
    const component = (typeof built === "string" ? undefined : built.get("web")) ?? assert.fail("it was not built");
    const directory = opened.use(await temporaryDirectory());
    echoServer = opened.use(await serveEcho());
    const odd = opened.use(await serve(oddAnswers));
    await copyFile(component, join(directory.path, "plugins/web.wasm"));
    const manifest = {
      name: "web",
      version: "1.0.0",
      kind: "service",
      limits: { memory: "16Mi", budget: "1s", deadline: "20s" },
      environment: { COLOUR: "green" },
      capabilities: { upstreams: ["echo", "odd", "nobody"] },
    };
    await writeFile(join(directory.path, "plugins/web.yaml"), stringify(manifest));
    const host = (address: string) => ({ endpoints: [address], protocol: "http" });
    sidecar = opened.use(
      await startSidecar(directory.path, {
        plugins: {
          directory: join(directory.path, "plugins"),
          grants: { web: { upstreams: ["echo", "odd", "nobody"] } },
        },
        upstreams: {
          echo: host(echoServer.address),
          odd: host(odd.address),
          nobody: host("127.0.0.1:1"),
          private: host(echoServer.address),
        },
        ingress: { routes: [{ match: { prefix: "/" }, to: { plugin: "web" } }] },
      }),
    );
    port = Number(sidecar.ingress.split(":").at(-1));
  });
  after(() => opened.disposeAsync());

  const ask = (path: string, options: http.RequestOptions = {}, body?: string | Uint8Array) =>
    send({ port, host: "127.0.0.1", agent: false, path, ...options }, body);

  const proxied = (upstream: string, path: string, options: http.RequestOptions = {}, body?: string | Uint8Array) =>
    ask("/proxy", { ...options, headers: { "x-upstream": upstream, "x-path": path, ...options.headers } }, body);

  const logged = (text: string) => sidecar.logged(({ plugin, msg }) => plugin === "web" && msg === text);

  it("is told the head of a request, without what belongs to the connection, and may not change it", async () => {
    const { status, body } = await ask("/head", { headers: { "X-One": "1", connection: "close" } });
    assert.equal(status, 200);
    const [first, ...lines] = body.split("\n");
    assert.equal(first, `Method::Get Some("/head") Some(Scheme::Http) Some("127.0.0.1:${port}")`);
    assert.ok(lines.includes("x-one: 1"), body);
    assert.ok(!lines.some((line) => /^(host|connection|:)/.test(line)), body);
    assert.equal(lines.at(-1), "HeaderError::Immutable");
  });

  it("keeps fields as the specification has them", async () => {
    const { body } = await ask("/fields");
    assert.deepEqual(body.split("\n"), [
      ...["ok", "ok", "HeaderError::InvalidSyntax", "HeaderError::InvalidSyntax"],
      ...["HeaderError::Forbidden", "HeaderError::Forbidden", "[[49], [50]]", "false", "ok", "0"],
      "HeaderError::Immutable",
    ]);
  });

  it("answers with bytes that come before the request has ended", async () => {
    const request = http.request({ port, host: "127.0.0.1", path: "/echo", method: "POST", agent: false });
    request.write("one");
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    assert.equal(String(((await once(response, "data")) as [Buffer])[0]), "one");
    request.write("two");
    assert.equal(String(((await once(response, "data")) as [Buffer])[0]), "two");
    request.addTrailers({ "x-sum": "6" });
    request.end();
    await once(response.resume(), "end");
    assert.equal(response.trailers["x-sum"], "6");
  });

  it("does so over HTTP/2, with trailers", async () => {
    const client = http2.connect(`http://127.0.0.1:${port}`);
    try {
      const stream = client.request({ ":method": "POST", ":path": "/echo" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.write("ping");
      assert.equal(String(((await once(stream, "data")) as [Buffer])[0]), "ping");
      stream.end();
      const [trailers] = (await once(stream, "trailers")) as [http2.IncomingHttpHeaders];
      assert.equal(trailers["grpc-status"], "0");
    } finally {
      client.close();
    }
  });

  it("takes and gives bodies of 64 MiB without keeping them", async () => {
    const sent = Buffer.alloc(largeBytes, "0123456789abcdef");
    const before = await peakBytes(sidecar);
    assert.equal((await ask("/count", { method: "POST" }, sent)).body, `${largeBytes} bytes, 0 trailers`);
    const { body } = await ask("/echo", { method: "POST" }, sent);
    assert.equal(body.length, largeBytes);
    assert.ok(Buffer.from(body, "latin1").equals(sent));
    const produced = await ask(`/produce?${largeBytes}`);
    assert.deepEqual([produced.body.length, produced.trailers["x-produced"]], [largeBytes, String(largeBytes)]);
    const grown = (await peakBytes(sidecar)) - before;
    // Four times as much went through; a process that has just begun to work grows by itself.
    assert.ok(grown < 2 * largeBytes, `its process grew by ${grown} bytes`);
  });

  it("is held back by a client that does not read, and goes on with the next once that has gone", async () => {
    const request = http.get({ port, host: "127.0.0.1", path: "/produce?1000000000", agent: false });
    request.on("error", () => undefined);
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    await once(response, "readable");
    assert.equal((await ask("/hello")).body, "hello");
    request.destroy();
    await sidecar.logged(({ path, flags }) => path === "/produce?1000000000" && String(flags) === "DC");
    assert.equal((await ask("/hello")).body, "hello");
  });

  it("may answer before the request has come, and not at all", async () => {
    assert.equal((await ask("/early", { method: "POST" }, "a body")).body, "no body wanted");
    const silent = await ask("/silent");
    assert.deepEqual(
      [silent.status, silent.body],
      [500, "plugin 'web' ended without an answer: response-outparam.set takes a response, or an error\n"],
    );
    const failed = await ask("/error");
    assert.deepEqual(
      [failed.status, failed.body],
      [500, "plugin 'web' answered with the error internal-error: no stock\n"],
    );
    assert.equal((await ask("/timeout")).status, 504);
    assert.deepEqual([(await ask("/status?204")).status, (await ask("/status?101")).status], [204, 500]);
  });

  it("answers HEAD without a body", async () => {
    const { status, body } = await ask("/hello", { method: "HEAD" });
    assert.deepEqual([status, body], [200, ""]);
  });

  it("is cut off where its body is not as long as it declared, or not finished", async () => {
    assert.equal((await ask("/declare?5,5")).body, "yyyyy");
    await assert.rejects(ask("/declare?10,5"), /aborted/);
    await logged("wrote Err(ErrorCode::HttpResponseBodySize(Some(5)))");
    const long = await ask("/declare?5,10");
    assert.equal(long.body, "the response of plugin 'web' is longer than the 5 bytes that its head declares\n");
    await logged("did not write Err(ErrorCode::HttpResponseBodySize(Some(10)))");
    await assert.rejects(ask("/unfinished"), /aborted/);
  });

  it("works on after its answer", async () => {
    assert.equal((await ask("/after?30")).body, "answered");
    await logged("worked on after the answer");
  });

  it("is replaced when it traps in the middle of its answer, and when it exits", async () => {
    await assert.rejects(ask("/trap"), /aborted/);
    assert.equal((await ask("/exit")).status, 503);
    await sidecar.logged(({ msg }) => msg.includes("it exited with a failure; it is replaced"));
    assert.equal((await ask("/hello")).body, "hello");
  });

  it("has clocks, random bytes and the environment of its manifest; its output goes to the log", async () => {
    assert.equal((await ask("/sleep?20")).body, "slept");
    assert.equal((await ask("/random?100")).body, "100");
    assert.equal((await ask("/env")).body, "COLOUR=green");
    assert.equal((await ask("/print")).body, "printed");
    for (const line of ["a line", "and another", "without an end"]) assert.equal((await logged(line)).level, 30);
    assert.equal((await logged("a complaint")).level, 50);
  });

  it("has no file and no socket", async () => {
    assert.equal((await ask("/file")).body, "Err(NotFound)");
    assert.equal((await ask("/socket")).body.match(/"access-denied"/g)?.length, 2);
  });

  it("ends when it asks for more random bytes than a call gives", async () => {
    assert.equal((await ask("/random?1000000")).status, 503);
    await sidecar.logged(({ msg }) => msg.includes("it asked for 1000000 random bytes; at most 65536"));
  });

  it("passes requests on to an upstream that it was granted, bodies and trailers included", async () => {
    const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const got = await proxied("echo", "/a?b=1", { headers: { traceparent: trace } });
    const echoed = JSON.parse(got.body) as Echoed;
    assert.deepEqual([echoed.method, echoed.url, fieldsOf(echoed).get("traceparent")], ["GET", "/a?b=1", trace]);
    const posted = JSON.parse((await proxied("echo", "/", { method: "POST" }, "a body")).body) as Echoed;
    assert.deepEqual([posted.method, posted.body], ["POST", "a body"]);
    const request = http.request({
      port,
      host: "127.0.0.1",
      path: "/proxy",
      method: "POST",
      agent: false,
      headers: { "x-upstream": "echo", "x-path": "/t" },
    });
    request.write("summed");
    request.addTrailers({ "x-sum": "6" });
    request.end();
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    const trailed = JSON.parse((await collect(response)).body) as Echoed;
    assert.deepEqual([trailed.body, trailed.trailers], ["summed", { "x-sum": "6" }]);
  });

  it("gets large answers as it reads them, and the trailers behind them", async () => {
    const { status, body, trailers } = await proxied("odd", `/large?${largeBytes}`);
    assert.deepEqual([status, body.length, trailers["x-end"]], [200, largeBytes, "yes"]);
  });

  it("is refused what it was not granted, and the runtime itself", async () => {
    for (const upstream of ["private", "unknown", "outrigger", ":app"]) {
      const { status, body } = await proxied(upstream, "/");
      assert.deepEqual([status, body], [403, "plugin 'web' answered with the error HTTP-request-denied\n"], upstream);
    }
  });

  it("is told why an upstream gave no answer", async () => {
    const why = async (upstream: string, path: string, headers = {}) =>
      (await proxied(upstream, path, { headers })).body;
    assert.match(await why("nobody", "/"), /error connection-refused\n$/);
    assert.match(await why("odd", "/hang-up"), /error connection-terminated\n$/);
    assert.match(await why("odd", "/never", { "x-timeout": "30" }), /error HTTP-response-timeout\n$/);
    await assert.rejects(proxied("odd", "/half"), /aborted/);
  });

  it("leaves nothing under way at an upstream when its call has ended", async () => {
    await proxied("odd", "/never", { headers: { "x-timeout": "30" } });
    await eventually("the requests are let go", () => waitingAnswers === 0);
  });
});

/** The most memory that the process has had. */
async function peakBytes({ process }: Sidecar): Promise<number> {
  const status = await readFile(`/proc/${process.pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/** Answers of `oddAnswers` that never come. */
let waitingAnswers = 0;

/** An upstream that does not do as it should, by path. */
function oddAnswers(request: http.IncomingMessage, response: http.ServerResponse): void {
  const [path, query] = (request.url ?? "").split("?");
  if (path === "/hang-up") request.socket.destroy();
  else if (path === "/never") {
    waitingAnswers++;
    response.once("close", () => waitingAnswers--);
  } else if (path === "/half") {
    response.writeHead(200, { "content-length": 100 });
    response.write("half", () => request.socket.destroy());
  } else if (path === "/large") pour(response, Number(query)).catch((error: Error) => response.destroy(error));
  else response.end();
}

async function pour(response: http.ServerResponse, bytes: number): Promise<void> {
  const part = Buffer.alloc(64 * 1024, "z");
  response.writeHead(200, { trailer: "x-end" });
  for (let sent = 0; sent < bytes; sent += part.length) if (!response.write(part)) await once(response, "drain");
  response.addTrailers({ "x-end": "yes" });
  response.end();
}
