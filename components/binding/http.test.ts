import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import http, { type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import { bytesOf, callWith } from "../../test/conformance/backend.ts";
import { selfSigned } from "../../test/support/certificate.ts";
import { openContext } from "../../test/support/open-context.ts";
import type { CallContext } from "../component.ts";
import { RuntimeError } from "../error.ts";
import type { BindingResponse } from "./binding.ts";
import { httpBinding } from "./http.ts";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push({
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
  return (server.address() as AddressInfo).port;
}

const serve = async (listener: RequestListener): Promise<string> =>
  `http://127.0.0.1:${await listening(http.createServer(listener))}`;

/** Answers with what it got, as JSON. */
async function echo(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const { method, url, headers } = request;
  response.setHeader("x-request-method", method ?? "");
  response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() }));
}

interface Call {
  readonly data?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly call?: CallContext;
}

async function opened(settings: object, secrets: Readonly<Record<string, string>> = {}) {
  const context = openContext("shop", {
    secret: async (setting) => (typeof setting === "string" ? setting : (secrets[setting.secretKeyRef.name] ?? "")),
  });
  const binding = await httpBinding.open(httpBinding.config.parse(settings), context);
  open.push(binding);
  return (operation: string, { data = "", metadata = {}, call = callWith() }: Call = {}): Promise<BindingResponse> =>
    binding.invoke({ operation, data: bytesOf(data), metadata }, call);
}

const textOf = ({ data }: BindingResponse): string => Buffer.from(data).toString();
const failsWith =
  (code: string, text = /./) =>
  (error: unknown) =>
    error instanceof RuntimeError && error.code === code && text.test(error.message);

describe("a request of the HTTP binding", () => {
  test("has the operation's method, the path below the url, the data and the headers", async () => {
    const invoke = await opened({ url: `${await serve(echo)}/base`, headers: { "X-Fixed": "f" } });
    const metadata = {
      path: "/orders/7?full=1",
      "X-Own": "o",
      "Content-Type": "text/plain",
      "X-Fixed": "no",
      lower: "n",
    };
    const response = await invoke("put", { data: "hello", metadata });
    const got = JSON.parse(textOf(response));
    assert.deepEqual([got.method, got.url, got.body], ["PUT", "/base/orders/7?full=1", "hello"]);
    assert.equal(got.headers["x-own"], "o");
    assert.equal(got.headers["x-fixed"], "f");
    assert.equal(got.headers["content-type"], "text/plain");
    assert.equal(got.headers.lower, undefined);
    const { statusCode, status, "X-Request-Method": header } = response.metadata;
    assert.deepEqual([statusCode, status, header], ["200", "200 OK", "PUT"]);
  });

  test("can have every method of HTTP, and goes to the url itself without a path", async () => {
    const invoke = await opened({ url: await serve(echo) });
    for (const operation of ["delete", "get", "head", "options", "patch", "post", "put", "trace"]) {
      const { metadata } = await invoke(operation);
      assert.equal(metadata["X-Request-Method"], operation.toUpperCase());
    }
    assert.equal((await invoke("create", { data: "{}" })).metadata["X-Request-Method"], "POST");
    const posted = JSON.parse(textOf(await invoke("post", { data: "{}" })));
    assert.deepEqual([posted.url, posted.headers["content-type"]], ["/", "application/json; charset=utf-8"]);
    await assert.rejects(invoke("get", { data: "x" }), failsWith("INVALID_ARGUMENT"));
  });

  test("carries headers whose values are secrets, and the trace of the call", async () => {
    const url = await serve(echo);
    const secretKeyRef = { store: "vault", name: "token" };
    const invoke = await opened({ url, headers: { authorization: { secretKeyRef } } }, { token: "Bearer s3cret" });
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const { headers } = JSON.parse(textOf(await invoke("get", { call: { ...callWith(), traceparent } })));
    assert.deepEqual([headers.authorization, headers.traceparent], ["Bearer s3cret", traceparent]);
  });

  test("goes to no other host and not above the url, whatever its path says", async () => {
    const invoke = await opened({ url: `${await serve(echo)}/base/` });
    const paths = [
      "http://evil.example/x",
      "//evil.example",
      "/\\evil.example",
      "https:x",
      "../x",
      "/a/../../x",
      "/..",
    ];
    for (const path of [
      ...paths,
      "/%2e%2e/x",
      "/a%2f..%2fx",
      "/a%5c..%5cx",
      "/a b",
      "/ключ",
      "/a\r\nHost: x",
      "/#x",
      "/%",
    ])
      await assert.rejects(invoke("get", { metadata: { path } }), failsWith("INVALID_ARGUMENT"), path);
    const { url } = JSON.parse(textOf(await invoke("get", { metadata: { path: "@evil.example/..x?a=../b" } })));
    assert.equal(url, "/base/@evil.example/..x?a=../b");
  });

  test("has no header that belongs to the connection or cannot be written", async () => {
    const invoke = await opened({ url: await serve(echo) });
    for (const [name, value] of [
      ["Host", "evil.example"],
      ["Content-Length", "1"],
      ["Transfer-Encoding", "chunked"],
      ["Proxy-Authorization", "x"],
      ["X-Split", "a\r\nX-Other: b"],
      ["X Blank", "a"],
    ] as const)
      await assert.rejects(invoke("get", { metadata: { [name]: value } }), failsWith("INVALID_ARGUMENT"), name);
  });
});

describe("an answer to the HTTP binding", () => {
  test("that is not 2xx fails the call with the code of its status, unless it may not", async () => {
    const url = await serve((request, response) => response.writeHead(Number(request.url?.slice(1))).end("no\nway"));
    const invoke = await opened({ url });
    const path = (status: number) => ({ metadata: { path: `/${status}` } });
    await assert.rejects(invoke("get", path(404)), failsWith("NOT_FOUND", /answered GET with 404: no way$/));
    await assert.rejects(invoke("post", path(503)), failsWith("UNAVAILABLE"));
    const lenient = { metadata: { path: "/404", errorIfNot2XX: "false" } };
    assert.deepEqual((await invoke("get", lenient)).metadata.status, "404 Not Found");
    assert.equal(textOf(await invoke("get", lenient)), "no\nway");
    const always = await opened({ url, errorIfNot2XX: false });
    assert.equal((await always("get", path(500))).metadata.statusCode, "500");
    await assert.rejects(always("get", { metadata: { path: "/500", errorIfNot2XX: "true" } }), failsWith("INTERNAL"));
    await assert.rejects(always("get", { metadata: { errorIfNot2XX: "x" } }), failsWith("INVALID_ARGUMENT"));
  });

  test("that redirects is the answer, and followed on its own host when that is allowed", async () => {
    const elsewhere = await serve((_, response) => response.end("elsewhere"));
    const url = await serve((request, response) => {
      if (request.url === "/away") response.writeHead(302, { location: elsewhere }).end();
      else if (request.url === "/moved") response.writeHead(302, { location: "/there" }).end();
      else if (request.url === "/round") response.writeHead(302, { location: "/round" }).end();
      else response.end(request.url);
    });
    const strict = await opened({ url, errorIfNot2XX: false });
    assert.equal((await strict("get", { metadata: { path: "/moved" } })).metadata.Location, "/there");
    const refusing = await opened({ url });
    const moved = { metadata: { path: "/moved" } };
    await assert.rejects(
      refusing("get", moved),
      failsWith("FAILED_PRECONDITION", /with 302: .* maxRedirects .* allows/),
    );
    await assert.rejects(refusing("post", moved), failsWith("FAILED_PRECONDITION", /only redirects of get and head/));
    const bounded = await opened({ url, maxRedirects: 3 });
    const round = { metadata: { path: "/round" } };
    await assert.rejects(bounded("get", round), failsWith("FAILED_PRECONDITION", /same host, at most 3 times/));
    const invoke = await opened({ url, errorIfNot2XX: false, maxRedirects: 3 });
    assert.equal(textOf(await invoke("get", { metadata: { path: "/moved" } })), "/there");
    for (const path of ["/away", "/round"])
      assert.equal((await invoke("get", { metadata: { path } })).metadata.statusCode, "302");
    assert.equal((await invoke("post", { metadata: { path: "/moved" } })).metadata.statusCode, "302");
  });

  test("may be as large as the limit and no larger", async () => {
    const invoke = await opened({
      url: await serve((request, response) => response.end("x".repeat(Number(request.url?.slice(1))))),
      maxResponseBytes: 1000,
    });
    assert.equal((await invoke("get", { metadata: { path: "/1000" } })).data.length, 1000);
    await assert.rejects(invoke("get", { metadata: { path: "/1001" } }), failsWith("RESOURCE_EXHAUSTED"));
    await assert.rejects(invoke("get", { metadata: { path: "/5000000" } }), failsWith("RESOURCE_EXHAUSTED"));
  });

  test("that does not come ends with the call or the time, and frees the connection", async () => {
    const closed = Promise.withResolvers<void>();
    const url = await serve((request) => request.on("close", closed.resolve));
    const invoke = await opened({ url, timeoutMs: 50 });
    await assert.rejects(invoke("get"), failsWith("UNAVAILABLE", /did not answer within 50 ms/));
    await closed.promise;
    const reason = new RuntimeError("CANCELLED", "X", "the caller went away");
    const patient = await opened({ url });
    const caller = new AbortController();
    const asked = patient("get", { call: callWith(caller.signal) });
    caller.abort(reason);
    await assert.rejects(asked, reason);
  });

  test("comes over a kept connection, and over a new one when the server closed that", async () => {
    let connections = 0;
    const server = http.createServer(echo).on("connection", () => connections++);
    const invoke = await opened({ url: `http://127.0.0.1:${await listening(server)}` });
    await invoke("get");
    await invoke("get");
    assert.equal(connections, 1);
    server.closeIdleConnections();
    await invoke("get");
    await invoke("put", { data: "x" });
    assert.equal(connections, 2);
  });

  test("comes again when the server is back", async () => {
    const port = await listening(http.createServer(echo));
    const invoke = await opened({ url: `http://127.0.0.1:${port}` });
    await invoke("get");
    await open.splice(0, 1)[0]?.[Symbol.asyncDispose]();
    await assert.rejects(invoke("post"), failsWith("UNAVAILABLE"));
    const back = http.createServer(echo);
    await new Promise<void>((resolve) => back.listen(port, "127.0.0.1", resolve));
    open.push({ [Symbol.asyncDispose]: async () => void back.close() });
    assert.equal((await invoke("post")).metadata.statusCode, "200");
  });

  test("is UNAVAILABLE while nothing listens, or breaks off", async () => {
    const port = await listening(http.createServer((request) => request.socket.destroy()));
    const broken = await opened({ url: `http://127.0.0.1:${port}` });
    await assert.rejects(
      broken("get"),
      failsWith("UNAVAILABLE", /the server of the binding 'shop' \(http:\/\/127\.0\.0\.1/),
    );
    const half = await opened({
      url: await serve((request, response) => {
        response.writeHead(200, { "content-length": 10 }).write("half");
        setImmediate(() => request.socket.destroy());
      }),
    });
    await assert.rejects(half("get"), failsWith("UNAVAILABLE"));
    const nobody = await opened({ url: "http://127.0.0.1:1" });
    await assert.rejects(nobody("post"), failsWith("UNAVAILABLE", /ECONNREFUSED/));
  });
});

describe("the HTTP binding over TLS", () => {
  test("trusts whom it is told to, shows its certificate, and refuses files that are none", async () => {
    const directory = await mkdtemp(join(tmpdir(), "outrigger-http-"));
    open.push({ [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) });
    const { key, cert } = selfSigned();
    const [ca, ownKey] = [join(directory, "ca.pem"), join(directory, "key.pem")];
    await writeFile(ca, cert);
    await writeFile(ownKey, key);
    const options = { key, cert, ca: cert, requestCert: true, rejectUnauthorized: true };
    const url = `https://localhost:${await listening(https.createServer(options, echo))}`;
    const invoke = await opened({ url, tls: { ca, cert: ca, key: ownKey } });
    assert.equal((await invoke("get")).metadata.statusCode, "200");
    const stranger = await opened({ url });
    await assert.rejects(stranger("get"), failsWith("UNAVAILABLE", /SELF_SIGNED/));
    await assert.rejects(
      opened({ url, tls: { ca: join(directory, "none.pem") } }),
      failsWith("INVALID_ARGUMENT", /none\.pem/),
    );
    await assert.rejects(opened({ url, tls: { cert: ownKey } }), failsWith("INVALID_ARGUMENT"));
  });
});

test("settings that cannot be are refused before anything is sent", async () => {
  for (const url of ["ftp://host/", "nowhere", "http://user:secret@host/", "http://host/?a=1", "http://host/#x"])
    assert.throws(() => httpBinding.config.parse({ url }), url);
  const url = "http://127.0.0.1:1";
  for (const headers of [{ Host: "x" }, { "X-Key": "s3cret\n" }])
    assert.throws(() => httpBinding.config.parse({ url, headers }), /expected a header that can be sent/);
  const headers = { "X-Key": { secretKeyRef: { store: "vault", name: "key" } } };
  await assert.rejects(opened({ url, headers }, { key: "s3cret\n" }), (error) => {
    return failsWith("INVALID_ARGUMENT", /'X-Key'/)(error) && !String(error).includes("s3cret");
  });
});
