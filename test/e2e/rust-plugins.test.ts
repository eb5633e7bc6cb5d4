/** The plugins of test/plugins/rust, which are written on the published crate, in a sidecar: what each does to real requests. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { test } from "node:test";
import { inflateSync } from "node:zlib";
import { eventually } from "../conformance/backend.ts";
import { collect, type Echoed, fieldsOf } from "../integration/ingress-rig.ts";
import type { HttpAnswer, HttpQuestion } from "../support/http.ts";
import { openPluginScene, type PluginCast, type PluginScene } from "../support/plugin-scene.ts";
import { startedFor } from "../support/programs.ts";
import { rustPlugins } from "../support/rust-plugins.ts";

const buildAndRunMs = 600_000;

const cast: Omit<PluginCast, "modules"> = {
  manifests: {
    gatekeeper: { capabilities: { upstreams: ["people"] } },
    pulse: { capabilities: { upstreams: ["weather"] } },
    teller: { capabilities: { upstreams: ["echo"] } },
    witness: { vmConfiguration: "the high court" },
    stumbler: { limits: { budget: "100ms" } },
  },
  chains: {
    headers: [{ plugin: "headers", configuration: "x-first=1\nx-second=2" }],
    witness: [{ plugin: "witness" }, { plugin: "witness", configuration: "again" }],
  },
  onTcp: "interpreter",
};

const echoed = ({ text }: HttpAnswer): Echoed => JSON.parse(text) as Echoed;

const post = (body: string, headers: Readonly<Record<string, string>> = {}): HttpQuestion => ({
  method: "POST",
  body,
  headers,
});

const checks: Readonly<Record<string, (scene: PluginScene) => Promise<void>>> = {
  "headers changes the fields of a request and of its response": async ({ sidecar, ask }) => {
    const answer = await ask("/headers/a", { headers: { "x-replaced": "old", "x-removed": "yes" } });
    const fields = fieldsOf(echoed(answer));
    assert.equal(fields.get("x-first"), "1");
    assert.equal(fields.get("x-second"), "2");
    assert.equal(fields.get("x-replaced"), "new");
    assert.equal(fields.has("x-removed"), false);
    assert.equal(fields.has("x-has-body"), false);
    assert.equal(answer.headers["x-internal-node"], undefined);
    assert.equal(answer.headers["x-application"], "stable");
    assert.equal(answer.headers["x-served-by"], "headers");
    assert.equal(answer.headers["x-bytes"], "a\u00e9");
    assert.equal(answer.headers["x-answers"], "GET /headers/a");
    await sidecar.logged(({ msg, plugin }) => plugin === "headers" && msg === "/headers/a was answered with 200");
  },

  "headers changes trailers, too": async ({ sidecar }) => {
    const url = new URL(`http://${sidecar.ingress}/headers/summed`);
    const request = httpRequest(url, { method: "POST", agent: false, headers: { trailer: "x-sum, x-more" } });
    request.write("a body");
    request.addTrailers({ "x-sum": "1", "x-more": "2" });
    request.end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const answer = await collect(response);
    assert.deepEqual({ ...answer.trailers }, { "x-sum": "33" });
    const { trailers, body } = JSON.parse(answer.body) as Echoed;
    assert.deepEqual(trailers, { "x-sum": "1", "x-more": "2", "x-counted": "ii" });
    assert.equal(body, "a body");
  },

  "gatekeeper lets pass whom an upstream knows": async ({ ask }) => {
    const knocked = (headers: Record<string, string>): Promise<HttpAnswer> =>
      ask("/gatekeeper", post("hello", headers));
    const known = await knocked({ authorization: "Bearer ada", "x-user": "root" });
    assert.equal(fieldsOf(echoed(known)).get("x-user"), "ada");
    assert.equal(echoed(known).body, "hello");
    const unknown = await knocked({ authorization: "Bearer eve" });
    assert.equal(unknown.status, 403);
    assert.equal(unknown.text, "the token is not known");
    assert.equal(unknown.headers["www-authenticate"], "Bearer");
    assert.equal((await knocked({})).status, 401);
  },

  "bodies changes the body of a request": async ({ ask }) => {
    const got = async (edit: string): Promise<string> =>
      echoed(await ask("/bodies", post("the body", { "x-request-body": edit }))).body;
    assert.equal(await got("append: , and a tail"), "the body, and a tail");
    assert.equal(await got("prepend: head:"), "head:the body");
    assert.equal(await got("replace: short"), "short");
    assert.equal(await got("shout: it"), "THE BODY");
    assert.equal(echoed(await ask("/bodies", post("the body"))).body, "the body");
  },

  "bodies changes the body of a response, in one piece or in several": async ({ ask }) => {
    for (const path of ["/bodies/text", "/bodies/slowly"]) {
      const got = async (edit: string): Promise<string> =>
        (await ask(path, { headers: { "x-response-body": edit } })).text;
      assert.equal(await got("append: , and a tail"), "some text, and a tail");
      assert.equal(await got("prepend: head:"), "head:some text");
      assert.equal(await got("replace: short"), "short");
      assert.equal(await got("shout: it"), "SOME TEXT");
    }
  },

  "pulse ticks, asks at each tick, and counts": async ({ sidecar, ask }) => {
    await eventually("it has heard", async () => (await ask("/pulse")).headers["x-weather"] === "rain");
    const { headers } = await ask("/pulse");
    assert.ok(Number(headers["x-ticks"]) >= 1);
    assert.equal(headers["x-underway"], "1");
    const text = (await ask("/metrics", {}, sidecar.admin)).text;
    assert.match(text, /pulse_ticks\{[^}]*\} \d+$/m);
    assert.match(text, /pulse_path_bytes_count\{[^}]*\} \d+$/m);
    await eventually("nothing is underway", async () =>
      /pulse_underway\{[^}]*\} 0$/m.test((await ask("/metrics", {}, sidecar.admin)).text),
    );
  },

  "ledger adds to what is shared, whoever else does": async ({ ask }) => {
    const sum = async (headers = {}): Promise<number> =>
      Number(fieldsOf(echoed(await ask("/ledger", { headers }))).get("x-sum"));
    assert.equal(await sum(), 1);
    assert.equal(await sum({ "x-amount": "10", "x-meanwhile": "100" }), 111);
    const more = await Promise.all(Array.from({ length: 8 }, () => sum()));
    assert.deepEqual(more.sort(), [112, 113, 114, 115, 116, 117, 118, 119]);
  },

  "courier delivers what it has put into a queue": async ({ sidecar, ask }) => {
    for (const path of ["/courier/one", "/courier/two"]) {
      assert.equal((await ask(path)).status, 200);
      await sidecar.logged(({ plugin, msg }) => plugin === "courier" && msg === `delivered ${path}`);
    }
  },

  "teller asks over gRPC, by a call or by a stream": async ({ ask }) => {
    const heard = async (headers: Record<string, string>): Promise<string | undefined> =>
      fieldsOf(echoed(await ask("/teller", { headers }))).get("x-heard");
    assert.equal(await heard({ "x-question": "hello" }), "hello for teller");
    assert.equal(await heard({ "x-question": "nothing" }), "5 there is nothing");
    assert.equal(await heard({ "x-ask": "stream" }), "teller,one,two,over,closed 0");
  },

  "witness tells what it knows of a stream, and logs at each level": async ({ sidecar, ask }) => {
    const { headers } = await ask("/witness/a?b=c", { headers: { "user-agent": "tests" } });
    const [, port] = sidecar.ingress.split(":");
    const expected = {
      court: "the high court",
      plugin: "witness",
      port,
      protocol: "HTTP/1.1",
      path: "/witness/a?b=c",
      agent: "tests",
      code: "200",
      witnesses: "witness;witness;",
      nothing: "None",
      year: String(new Date().getUTCFullYear()),
      waited: "true",
      level: "Ok(Info)",
    };
    for (const [name, value] of Object.entries(expected)) assert.equal(headers[`x-${name}`], value, name);
    assert.match(String(headers["x-source"]), /^127\.0\.0\.1:\d+$/);
    await sidecar.logged(({ plugin, msg }) => plugin === "witness" && /^stream \d+ is done$/.test(msg));
    const levels = Object.fromEntries(
      sidecar.log
        .filter(({ plugin, source }) => plugin === "witness" && source === "guest")
        .map((line) => [line.msg, line.level]),
    );
    assert.deepEqual(
      ["the court sits", "an error", "a warning", "a remark", "a detail"].map((msg) => levels[msg]),
      [60, 50, 40, 30, undefined],
    );
  },

  "doorman answers in place of the application": async ({ ask }) => {
    for (const point of ["request-headers", "request-body", "response-headers", "response-body"]) {
      const answer = await ask("/doorman", post("a body", { "x-answer-at": point }));
      assert.equal(answer.status, 429, point);
      assert.equal(answer.text, `not now: ${point}`);
      assert.equal(answer.headers["x-door"], "closed");
    }
    const grpc = await ask("/doorman", { headers: { "x-answer-at": "grpc", "content-type": "application/grpc" } });
    assert.equal(grpc.headers["grpc-status"], "8");
    assert.equal(grpc.headers["grpc-message"], "not now");
    assert.equal((await ask("/doorman/text")).text, "some text");
  },

  "doorman has the host compress a response": async ({ ask }) => {
    const packed = await ask("/doorman/slowly", { headers: { "accept-encoding": "deflate" } });
    assert.equal(packed.headers["content-encoding"], "deflate");
    assert.equal(inflateSync(packed.body).toString(), "some text");
  },

  "interpreter changes what goes over a TCP connection": async ({ sidecar, talk }) => {
    using client = await talk();
    client.say("hel");
    client.say("lo\n");
    await client.heard("it says: HELLO\n");
    client.say("quit\n");
    await client.over;
    await sidecar.logged(({ plugin, msg }) => plugin === "interpreter" && msg.endsWith(`hung up on ${client.address}`));
  },
};

/** What is left of a plugin that fails, and what its author reads about it. */
const failures: Readonly<Record<string, RegExp>> = {
  panic:
    /trapped in proxy_on_request_headers: unreachable, after it logged 'panicked at .*', in core::panicking::.*stumbler::Stream::stumble at 0x[\da-f]+, <stumbler::Stream as proxy_wasm::traits::HttpContext>::on_http_request_headers/,
  loop: /used up its \d+ units of fuel in proxy_on_request_headers, in .*stumbler::Stream::run/,
  hoard:
    /(trapped in|used up its \d+ units of fuel in) proxy_on_request_headers.*, in .*(Stream::hoard|handle_alloc_error)/,
  depth: /(overflowed its stack|used up its \d+ units of fuel|out of bounds).* in stumbler::Stream::fall/,
};

async function stumbles({ sidecar, ask }: PluginScene, how: string, told: RegExp): Promise<void> {
  const failed = await ask("/stumbler", { headers: { "x-stumble": how } });
  assert.equal(failed.status, 503);
  await sidecar.logged(({ level, msg, source }) => level === 50 && source !== "guest" && told.test(msg));
  await eventually("it is replaced", async () => (await ask("/stumbler")).status === 200);
}

for (const target of ["unknown", "wasi"] as const)
  test(`plugins in Rust for wasm32-${target}`, { timeout: buildAndRunMs }, async (context) => {
    const built = await startedFor(context, rustPlugins);
    if (built === undefined) return;
    await using scene = await openPluginScene({ modules: built[target], ...cast });
    for (const [name, check] of Object.entries(checks)) await context.test(name, () => check(scene));
    await context.test("no plugin was surprised by the host, and none died", () => {
      const complaints = scene.sidecar.log.filter(({ level, plugin }) => Number(level) >= 40 && plugin !== "witness");
      assert.deepEqual(
        complaints.map(({ msg }) => msg),
        [],
      );
    });
    for (const [how, told] of Object.entries(failures))
      await context.test(`stumbler ends by its ${how}, and says where`, () => stumbles(scene, how, told));
  });
