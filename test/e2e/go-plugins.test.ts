/** The plugins of test/plugins/go, which are written on the published Go SDK, in a sidecar: what each does to real requests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inflateSync } from "node:zlib";
import { eventually } from "../conformance/backend.ts";
import { fieldsOf } from "../integration/ingress-rig.ts";
import { goPlugins } from "../support/go-plugins.ts";
import {
  alike,
  buildAndRunMs,
  checkPlugins,
  echoed,
  type PluginChecks,
  post,
  saysHello,
} from "../support/plugin-checks.ts";
import type { PluginCast } from "../support/plugin-scene.ts";
import { startedFor } from "../support/programs.ts";

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

const checks: PluginChecks = {
  ...alike,

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

  "interpreter changes what goes over a TCP connection": async (scene) => {
    const { sidecar, ask } = scene;
    using client = await saysHello(scene);
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

  "doorman answers a call of gRPC in place of the application": async ({ ask }) => {
    const grpc = await ask("/doorman", {
      headers: { "x-answer-at": "request-headers", "content-type": "application/grpc" },
    });
    assert.equal(grpc.headers["grpc-status"], "8");
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

const outcries = { panic: /^main\.\(\*stream\)\.OnHttpRequestHeaders\(/ };

test("plugins on the Go SDK", { timeout: buildAndRunMs }, async (context) => {
  const modules = await startedFor(context, goPlugins);
  if (modules !== undefined) await checkPlugins(context, { modules, ...cast }, { checks, failures, outcries });
});
