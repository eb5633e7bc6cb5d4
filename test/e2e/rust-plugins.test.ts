/** The plugins of test/plugins/rust, which are written on the published crate, in a sidecar: what each does to real requests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inflateSync } from "node:zlib";
import { eventually } from "../conformance/backend.ts";
import { fieldsOf } from "../integration/ingress-rig.ts";
import { alike, buildAndRunMs, checkPlugins, echoed, type PluginChecks, saysHello } from "../support/plugin-checks.ts";
import type { PluginCast } from "../support/plugin-scene.ts";
import { startedFor } from "../support/programs.ts";
import { rustPlugins } from "../support/rust-plugins.ts";

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

const checks: PluginChecks = {
  ...alike,

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

  "doorman answers a call of gRPC in place of the application": async ({ ask }) => {
    const grpc = await ask("/doorman", { headers: { "x-answer-at": "grpc", "content-type": "application/grpc" } });
    assert.equal(grpc.headers["grpc-status"], "8");
    assert.equal(grpc.headers["grpc-message"], "not now");
  },

  "doorman has the host compress a response": async ({ ask }) => {
    const packed = await ask("/doorman/slowly", { headers: { "accept-encoding": "deflate" } });
    assert.equal(packed.headers["content-encoding"], "deflate");
    assert.equal(inflateSync(packed.body).toString(), "some text");
  },

  "interpreter changes what goes over a TCP connection": async (scene) => {
    using client = await saysHello(scene);
    await scene.sidecar.logged(
      ({ plugin, msg }) => plugin === "interpreter" && msg.endsWith(`hung up on ${client.address}`),
    );
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

for (const target of ["unknown", "wasi"] as const)
  test(`plugins in Rust for wasm32-${target}`, { timeout: buildAndRunMs }, async (context) => {
    const built = await startedFor(context, rustPlugins);
    if (built === undefined) return;
    await checkPlugins(context, { modules: built[target], ...cast }, { checks, complains: "witness", failures });
  });
