/** The plugins of test/plugins/go, which are written on the published Go SDK, in a sidecar: what each does to real requests. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { test } from "node:test";
import { inflateSync } from "node:zlib";
import { eventually } from "../conformance/backend.ts";
import { collect, type Echoed, fieldsOf } from "../integration/ingress-rig.ts";
import { goPlugins } from "../support/go-plugins.ts";
import type { HttpAnswer, HttpQuestion } from "../support/http.ts";
import { openPluginScene, type PluginCast, type PluginScene } from "../support/plugin-scene.ts";
import { startedFor } from "../support/programs.ts";

const buildAndRunMs = 600_000;

const cast: Omit<PluginCast, "modules"> = {
  manifests: {
    gatekeeper: { capabilities: { upstreams: ["people"] } },
    heartbeat: { capabilities: { upstreams: ["weather"] } },
    panel: { capabilities: { upstreams: ["experts"] } },
    archivist: { vmId: "archive" },
    witness: { vmConfiguration: "the high court", environment: { TOWN: "Delft", GOGC: "50" } },
    stumbler: { limits: { budget: "100ms" } },
  },
  chains: {
    customs: [{ plugin: "customs", configuration: { required: ["id", "amount"] } }],
    witness: [
      { plugin: "witness", configuration: "first" },
      { plugin: "witness", configuration: "second" },
    ],
  },
  everywhere: "switchboard",
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
    assert.equal(fields.get("x-replaced"), "new");
    assert.equal(fields.has("x-removed"), false);
    assert.equal(fields.has("x-has-body"), false);
    const { rawHeaders } = echoed(answer);
    assert.deepEqual(
      rawHeaders.filter((_, at) => rawHeaders[at - 1] === "x-added"),
      ["first", "second"],
    );
    assert.equal(answer.headers["x-internal-node"], undefined);
    assert.equal(answer.headers["x-application"], "stable");
    assert.equal(answer.headers["x-served-by"], "headers");
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
    const { trailers, rawHeaders, body } = JSON.parse(answer.body) as Echoed;
    assert.deepEqual(trailers, { "x-sum": "1", "x-more": "2", "x-counted": "ii" });
    assert.equal(fieldsOf({ trailers, rawHeaders, body, method: "", url: "" }).get("x-has-body"), "yes");
    assert.equal(body, "a body");
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

  "heartbeat asks at every tick": async ({ ask }) => {
    const heard = async (): Promise<number> => Number((await ask("/heartbeat")).headers["x-heard"]);
    await eventually("it has heard twice", async () => (await heard()) >= 2);
    assert.equal((await ask("/heartbeat")).headers["x-weather"], "rain");
  },

  "packer has the host compress a response": async ({ ask }) => {
    const packed = await ask("/packer/text", { headers: { "accept-encoding": "deflate" } });
    assert.equal(packed.headers["content-encoding"], "deflate");
    assert.equal(inflateSync(packed.body).toString(), "some text");
    assert.equal((await ask("/packer/text")).text, "some text");
  },

  "census counts in metrics": async ({ sidecar, ask }) => {
    for (let request = 1; request <= 3; request++)
      assert.equal((await ask("/census/text")).headers["x-answers"], String(request));
    const missing = await ask("/census/missing");
    assert.equal(missing.headers["x-answers"], "1");
    assert.equal(missing.headers["x-underway"], "1");
    const metrics = async (): Promise<string> => (await ask("/metrics", {}, sidecar.admin)).text;
    await eventually("all four are counted", async () =>
      /census_response_bytes_count\{[^}]*\} 4$/m.test(await metrics()),
    );
    const text = await metrics();
    assert.match(text, /census_answers_200\{[^}]*\} 3$/m);
    assert.match(text, /census_answers_404\{[^}]*\} 1$/m);
    assert.match(text, /census_underway\{[^}]*\} 0$/m);
  },

  "waiting-room lets one request after the other pass": async ({ ask }) => {
    const answers = await Promise.all(Array.from({ length: 4 }, () => ask("/waiting-room")));
    const turns = answers.map((answer) => fieldsOf(echoed(answer)).get("x-turn"));
    assert.deepEqual(turns.sort(), ["1", "2", "3", "4"]);
  },

  "ledger adds to what is shared, whoever else does": async ({ ask }) => {
    const total = async (headers = {}): Promise<number> =>
      Number((await ask("/ledger", { headers })).headers["x-total"]);
    assert.equal(await total(), 1);
    assert.equal(await total(), 2);
    assert.equal(await total({ "x-between": "yes" }), 103);
    const more = await Promise.all(Array.from({ length: 8 }, () => total()));
    assert.deepEqual(more.sort(), [104, 105, 106, 107, 108, 109, 110, 111]);
  },

  "courier and archivist, of another VM, share a queue": async ({ ask }) => {
    assert.equal((await ask("/courier/one")).status, 200);
    assert.equal((await ask("/courier/two")).status, 200);
    await eventually("both are kept", async () => (await ask("/archivist")).text === "/courier/one\n/courier/two");
  },

  "witness tells what it knows of a stream": async ({ sidecar, ask }) => {
    const { headers, body } = await ask("/witness/a?b=c", { headers: { "x-given": "gift", "user-agent": "tests" } });
    const [, port] = sidecar.ingress.split(":");
    const expected = {
      court: "the high court",
      town: "Delft",
      path: "/witness/a?b=c",
      "url-path": "/witness/a",
      query: "b=c",
      host: sidecar.ingress,
      method: "GET",
      scheme: "http",
      protocol: "HTTP/1.1",
      agent: "tests",
      year: String(new Date().getUTCFullYear()),
      code: "200",
      port,
      plugin: "witness",
      cluster: ":app",
      node: "shop",
      inbound: "true",
      route: "/witness*",
      fields: "gift",
      tls: "false",
      "witnesses-before": "first;",
    };
    for (const [name, value] of Object.entries(expected)) assert.equal(headers[`x-${name}`], value, name);
    assert.match(String(headers["x-source"]), /^127\.0\.0\.1:\d+$/);
    assert.match(String(headers["x-upstream"]), /^127\.0\.0\.1:\d+$/);
    assert.match(String(headers["x-id"]), /^[\w-]{36}$/);
    const summary = `first saw 0 bytes come and ${body.length} go, via_upstream, flags 0, for true`;
    await sidecar.logged(({ plugin, msg }) => plugin === "witness" && msg === summary);
  },

  "switchboard leads a request to another upstream": async ({ ask }) => {
    assert.equal((await ask("/switchboard")).headers["x-application"], "stable");
    assert.equal((await ask("/switchboard", { headers: { "x-try": "next" } })).headers["x-application"], "next");
    assert.equal((await ask("/switchboard", { headers: { "x-try": "none" } })).headers["x-application"], "stable");
  },

  "interpreter changes what goes over a TCP connection": async ({ sidecar, ask, talk }) => {
    using client = await talk();
    client.say("hel");
    client.say("lo\n");
    await client.heard("it says: HELLO\n");
    client.say("quit\n");
    await client.over;
    await sidecar.logged(({ plugin, msg }) => plugin === "interpreter" && msg.startsWith(`${client.address} is done:`));
    const metrics = (await ask("/metrics", {}, sidecar.admin)).text;
    assert.match(metrics, /interpreter_received_bytes\{[^}]*\} 6$/m);
    assert.match(metrics, /interpreter_sent_bytes\{[^}]*\} 15$/m);
  },

  "customs lets pass the JSON that it was told to": async ({ ask }) => {
    const json = { "content-type": "application/json" };
    const good = await ask("/customs", post('{"id": 1, "amount": 2}', json));
    assert.equal(echoed(good).body, '{"id": 1, "amount": 2}');
    const large = JSON.stringify({
      id: 1,
      amount: 2,
      items: Array.from({ length: 700 }, (_, id) => ({ id, text: "a thing" })),
    });
    assert.equal(echoed(await ask("/customs", post(large, json))).body, large);
    const incomplete = await ask("/customs", post('{"id": 1}', json));
    assert.equal(incomplete.status, 422);
    assert.equal(incomplete.text, '"amount" is missing');
    assert.equal((await ask("/customs", post("[1, 2]", json))).status, 400);
    assert.equal((await ask("/customs", post("{}"))).status, 415);
    assert.equal((await ask("/customs")).status, 200);
  },

  "doorman answers in place of the application": async ({ ask }) => {
    for (const point of ["request-headers", "request-body", "response-headers", "response-body"]) {
      const answer = await ask("/doorman", post("a body", { "x-answer-at": point }));
      assert.equal(answer.status, 429, point);
      assert.equal(answer.text, `not now: ${point}`);
      assert.equal(answer.headers["x-door"], "closed");
    }
    const grpc = await ask("/doorman", {
      headers: { "x-answer-at": "request-headers", "content-type": "application/grpc" },
    });
    assert.equal(grpc.headers["grpc-status"], "8");
    assert.equal((await ask("/doorman/text")).text, "some text");
  },

  "panel asks several at once, and one after them": async ({ ask }) => {
    const fields = fieldsOf(echoed(await ask("/panel", post("a case"))));
    assert.equal(fields.get("x-verdict"), "judged: expert 0,expert 1,expert 2");
  },
};

/** What is left of a plugin that fails, and what its author reads about it. */
const failures: Readonly<Record<string, RegExp>> = {
  panic:
    /trapped in .*, after it logged 'panic: runtime error: invalid memory address .*', in .*main\.__stream_\.OnHttpRequestHeaders at 0x[\da-f]+/,
  loop: /used up its \d+ units of fuel in proxy_on_request_headers, in main\.__stream_\.OnHttpRequestHeaders at 0x[\da-f]+/,
  hoard: /trapped in .*, after it logged 'runtime: out of memory.*', in .*runtime\.mallocgc/,
  wait: /trapped in .*, after it logged 'fatal error: all goroutines are asleep - deadlock!', in .*runtime\.checkdead/,
  sleep: /used up its \d+ units of fuel in proxy_on_request_headers/,
};
async function stumbles({ sidecar, ask }: PluginScene, how: string, told: RegExp): Promise<void> {
  const failed = await ask("/stumbler", { headers: { "x-stumble": how } });
  assert.equal(failed.status, 503);
  await sidecar.logged(({ level, msg }) => level === 50 && told.test(msg));
  const trace = /^main\.\(\*stream\)\.OnHttpRequestHeaders\(/;
  if (how === "panic") await sidecar.logged(({ source, msg }) => source === "guest" && trace.test(msg));
  await eventually("it is replaced", async () => (await ask("/stumbler")).status === 200);
}

test("plugins on the Go SDK", { timeout: buildAndRunMs }, async (context) => {
  const modules = await startedFor(context, goPlugins);
  if (modules === undefined) return;
  await using scene = await openPluginScene({ modules, ...cast });
  for (const [name, check] of Object.entries(checks)) await context.test(name, () => check(scene));
  await context.test("no plugin was surprised by the host, and none died", () => {
    const complaints = scene.sidecar.log.filter(({ level }) => Number(level) >= 40).map(({ msg }) => msg);
    assert.deepEqual(complaints, []);
  });
  for (const [how, told] of Object.entries(failures))
    await context.test(`stumbler ends by its ${how}, and says where`, () => stumbles(scene, how, told));
});
