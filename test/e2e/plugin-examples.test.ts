/** The examples of the AssemblyScript library (wasm-plugins/sdk/examples) in a sidecar: what each does to real traffic. */
import assert from "node:assert/strict";
import { sign, verify } from "node:crypto";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { deflateSync, inflateSync } from "node:zlib";
import { json, OutriggerClient } from "../../sdk/index.ts";
import { eventually } from "../conformance/backend.ts";
import { collect, type Echoed, fieldsOf } from "../integration/ingress-rig.ts";
import type { HttpAnswer, HttpQuestion } from "../support/http.ts";
import { ask as askAt } from "../support/http.ts";
import { openPluginExampleScene, type PluginExampleScene } from "../support/plugin-example-scene.ts";
import { pluginExamples } from "../support/plugin-examples.ts";
import type { LogLine } from "../support/sidecar.ts";

const echoed = ({ text }: HttpAnswer): Echoed => JSON.parse(text) as Echoed;

const post = (body: string | Uint8Array, headers: Readonly<Record<string, string>> = {}): HttpQuestion => ({
  method: "POST",
  body,
  headers,
});

type Check = (scene: PluginExampleScene) => Promise<void>;

/** By the folder of each example. */
const checks: Readonly<Record<string, Check>> = {
  headers: async ({ sidecar, ask }) => {
    const answer = await ask("/headers/a", { headers: { "x-secret": "1", cookie: "a=1; b=2" } });
    const fields = fieldsOf(echoed(answer));
    assert.equal(fields.get("x-path-seen"), "/headers/a");
    assert.equal(fields.has("x-secret"), false);
    assert.equal(fields.get("x-cookies"), "2");
    const { rawHeaders } = echoed(answer);
    assert.deepEqual(
      rawHeaders.filter((_, at) => rawHeaders[at - 1] === "x-added"),
      ["first", "second"],
    );
    assert.equal(answer.headers["x-internal-node"], undefined);
    assert.equal(answer.headers["x-application"], "stable");
    assert.equal(answer.headers["x-edited"], "yes");
    assert.ok(Number(answer.headers["x-size"]) > 100);

    const request = httpRequest(new URL(`http://${sidecar.ingress}/headers/summed`), {
      method: "POST",
      agent: false,
      headers: { trailer: "x-sum" },
    });
    request.write("a body");
    request.addTrailers({ "x-sum": "1" });
    request.end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const summed = await collect(response);
    assert.deepEqual({ ...summed.trailers }, { "x-sum": "3", "x-response-sum": "seen" });
    assert.deepEqual((JSON.parse(summed.body) as Echoed).trailers, { "x-sum": "1", "x-request-sum": "1" });
  },

  bodies: async ({ ask }) => {
    const sent = async (edit: string): Promise<string> =>
      echoed(await ask("/bodies", post("the body", { "x-request-body": edit }))).body;
    assert.equal(await sent("append"), "the body:tail");
    assert.equal(await sent("prepend"), "head:the body");
    assert.equal(await sent("replace"), "short");
    assert.equal(await sent("shout"), "THE BODY");
    assert.equal(await sent("leave"), "the body");
    for (const path of ["/bodies/text", "/bodies/slowly"]) {
      const got = async (edit: string): Promise<string> =>
        (await ask(path, { headers: { "x-response-body": edit } })).text;
      assert.equal(await got("append"), "some text:tail");
      assert.equal(await got("prepend"), "head:some text");
      assert.equal(await got("replace"), "short");
      assert.equal(await got("shout"), "SOME TEXT");
    }
  },

  "local-response": async ({ ask }) => {
    for (const point of ["request-headers", "request-body", "response-headers"]) {
      const answer = await ask("/local-response", post("a body", { "x-answer-at": point }));
      assert.equal(answer.status, 429, point);
      assert.equal(answer.text, `not now: ${point}\n`);
      assert.equal(answer.headers["retry-after"], "5");
    }
    const grpc = await ask("/local-response", post("", { "x-answer-at": "grpc", "content-type": "application/grpc" }));
    assert.equal(grpc.status, 200);
    assert.equal(grpc.headers["grpc-status"], "7");
    assert.equal(grpc.headers["grpc-message"], "not today");
    assert.equal((await ask("/local-response", post("", { "x-answer-at": "grpc" }))).status, 403);
    await assert.rejects(ask("/local-response", post("", { "x-answer-at": "reset" })), { code: "ECONNRESET" });
    assert.equal((await ask("/local-response/text")).text, "some text");
  },

  "http-call": async ({ ask }) => {
    const knock = (headers: Record<string, string>): Promise<HttpAnswer> => ask("/http-call", post("hello", headers));
    const known = await knock({ authorization: "Bearer ada", "x-user": "root" });
    assert.equal(fieldsOf(echoed(known)).get("x-user"), "ada");
    assert.equal(fieldsOf(echoed(known)).get("x-user-since"), "http-call 1815");
    assert.equal(echoed(known).body, "hello");
    assert.equal((await knock({ authorization: "Bearer eve" })).status, 403);
    assert.equal((await knock({})).status, 401);
    assert.equal((await knock({ authorization: "Bearer slow", "x-hurry": "yes" })).status, 504);
  },

  "grpc-call": async ({ ask }) => {
    const apple = await ask("/grpc-call", { headers: { "x-sku": "apple" } });
    assert.equal(fieldsOf(echoed(apple)).get("x-cents"), "300");
    const pear = await ask("/grpc-call", { headers: { "x-sku": "pear" } });
    assert.equal(pear.status, 502);
    assert.equal(pear.text, "NOT_FOUND: no 'pear' in delft\n");
    const cancelled = await ask("/grpc-call", { headers: { "x-sku": "apple", "x-cancel": "yes" } });
    assert.equal(fieldsOf(echoed(cancelled)).has("x-cents"), false);
  },

  "grpc-stream": async ({ sidecar, ask, told }) => {
    const tell = async (what: string): Promise<unknown> =>
      (await ask("/grpc-stream", { headers: { "x-tell": what } })).headers["x-feed"];
    await eventually("it heard the echo", async () => (await tell("apples")) === "apples");
    await sidecar.logged(({ msg }) => msg === "the feed is from a shop, to grpc-stream");
    await tell("enough");
    await sidecar.logged(({ msg }) => msg === "the feed ended: OK");
    await sidecar.logged(({ msg }) => /^the feed said \d+ things$/.test(msg));
    assert.ok(told.lastIndexOf("(end)") > told.indexOf("enough"));
    await eventually("it is open again", async () => (await tell("pears")) === "pears");
    await tell("go away");
    await sidecar.logged(({ msg }) => msg === "the feed was abandoned");
    await eventually("the server noticed", async () => told.lastIndexOf("(cancelled)") > told.indexOf("go away"));
  },

  timer: async ({ ask }) => {
    const ticks = async (): Promise<number> => Number((await ask("/timer")).headers["x-ticks"]);
    await eventually("it ticked twice", async () => (await ticks()) >= 2);
    await eventually("it knows the weather", async () => (await ask("/timer")).headers["x-weather"] === "rain");
  },

  "shared-data": async ({ ask }) => {
    const total = async (): Promise<number> => Number((await ask("/shared-data")).headers["x-total"]);
    assert.equal(await total(), 1);
    const more = await Promise.all(Array.from({ length: 8 }, () => total()));
    assert.deepEqual(
      more.sort((one, other) => one - other),
      [2, 3, 4, 5, 6, 7, 8, 9],
    );
  },

  "shared-queue": async ({ sidecar, ask }) => {
    const isOfReader = (line: LogLine): boolean => line.plugin === "shared-queue-reader";
    await ask("/shared-queue/one");
    await sidecar.logged((line) => isOfReader(line) && line.msg === "message 1: /shared-queue/one");
    await ask("/shared-queue/two");
    await sidecar.logged((line) => isOfReader(line) && line.msg === "message 2: /shared-queue/two");
  },

  metrics: async ({ sidecar, ask }) => {
    for (let request = 1; request <= 3; request++) {
      const answer = await ask("/metrics/text");
      assert.equal(answer.headers["x-answers"], String(request));
      assert.equal(answer.headers["x-underway"], "1");
    }
    const metrics = async (): Promise<string> => (await askAt(sidecar.admin, "/metrics")).text;
    await eventually("all three are counted", async () =>
      /census_response_bytes_count\{[^}]*plugin="metrics"[^}]*\} 3$/m.test(await metrics()),
    );
    const text = await metrics();
    assert.match(text, /census_answers\{[^}]*status="200"[^}]*\} 3$/m);
    assert.match(text, /census_underway\{[^}]*\} 0$/m);
    assert.match(text, /census_response_bytes_sum\{[^}]*\} 27$/m);
  },

  properties: async ({ sidecar, ask }) => {
    const { headers } = await ask("/properties/a", { headers: { "user-agent": "tests" } });
    const [, port] = sidecar.ingress.split(":");
    const expected = {
      method: "GET",
      port,
      mtls: "false",
      agent: "tests",
      year: String(new Date().getUTCFullYear()),
      took: "true",
      route: "/properties*",
      unknown: "none",
      seen: "once;once;",
      state: "was here",
    };
    for (const [name, value] of Object.entries(expected)) assert.equal(headers[`x-${name}`], value, name);
    assert.match(String(headers["x-source"]), /^127\.0\.0\.1:\d+$/);
    await sidecar.logged(({ msg }) => msg === "/properties/a was answered with 200");
  },

  "stream-state": async ({ ask }) => {
    const { headers } = await ask("/stream-state", { headers: { "x-tenant": "acme" } });
    assert.equal(headers["x-tenant"], "acme");
    assert.equal(headers["x-again"], "INVALID_ARGUMENT");
  },

  routing: async ({ ask }) => {
    assert.equal((await ask("/routing")).headers["x-application"], "stable");
    assert.equal((await ask("/routing", { headers: { "x-try": "next" } })).headers["x-application"], "next");
    assert.equal((await ask("/routing", { headers: { "x-try": "none" } })).headers["x-application"], "stable");
  },

  compression: async ({ ask }) => {
    const packed = await ask("/compression/text", { headers: { "accept-encoding": "deflate" } });
    assert.equal(packed.headers["content-encoding"], "deflate");
    assert.equal(inflateSync(packed.body).toString(), "some text");
    assert.equal((await ask("/compression/text")).text, "some text");
    const deflated = { "content-encoding": "deflate" };
    assert.equal(echoed(await ask("/compression", post(deflateSync("hello"), deflated))).body, "hello");
    assert.equal((await ask("/compression", post("hello", deflated))).status, 400);
  },

  signatures: async ({ ask, keys }) => {
    const signed = sign("sha256", Buffer.from("the body"), keys.theirs.privateKey).toString("hex");
    const good = await ask("/signatures", post("the body", { "x-signature": signed }));
    assert.equal(good.status, 200, good.text);
    const own = Buffer.from(String(good.headers["x-signature"]), "hex");
    assert.ok(verify("sha256", Buffer.from("200"), keys.ours.publicKey, own));
    const bad = await ask("/signatures", post("another body", { "x-signature": signed }));
    assert.equal(bad.status, 401);
    assert.match(bad.text, /^UNAUTHENTICATED/);
  },

  expressions: async ({ ask }) => {
    assert.equal((await ask("/expressions/open")).status, 200);
    assert.equal((await ask("/expressions")).status, 403);
    assert.equal((await ask("/expressions/open", post("x"))).status, 403);
    assert.equal((await ask("/expressions", { headers: { "x-role": "admin" } })).status, 200);
    assert.equal((await ask("/expressions", { headers: { "x-role": "guest" } })).status, 403);
  },

  tcp: async ({ sidecar, talk }) => {
    using client = await talk();
    client.say("hel");
    client.say("lo\n");
    await client.heard("it says: HELLO\n");
    client.say("quit\n");
    await client.over;
    await sidecar.logged(({ plugin, msg }) => plugin === "tcp" && msg === "the client's end closed, by us");
    await sidecar.logged(({ plugin, msg }) => plugin === "tcp" && msg === "lines: 1");
  },

  pausing: async ({ ask }) => {
    const answers = await Promise.all(Array.from({ length: 3 }, () => ask("/pausing")));
    const turns = answers.map((answer) => fieldsOf(echoed(answer)).get("x-turn"));
    assert.deepEqual(turns.sort(), ["1", "2", "3"]);
    for (const { headers } of answers) assert.equal(headers["x-held"], "yes");
  },

  events: async ({ sidecar, ask }) => {
    await using client = new OutriggerClient({ address: sidecar.grpc });
    const publish = (data: object): Promise<void> =>
      client.pubsub.publish({ pubsub: "events", topic: "orders", data: json(data) });
    await eventually("an order is kept", async () => {
      await publish({ id: "a7", of: "apples" });
      return (await ask("/events/a7")).status === 200;
    });
    assert.equal((await ask("/events/a7")).text, '{"id":"a7","of":"apples"}');
    assert.equal((await ask("/events/b8")).status, 404);
    await sidecar.logged(({ msg }) => /^at \d{4}-\d\d-\d\dT\S+Z: \{"unit":"orders"\}$/.test(msg));
  },

  postponed: async ({ sidecar, ask, reports }) => {
    await ask("/postponed/a");
    await sidecar.logged(({ msg }) => msg === "reported: filed /postponed/a");
    assert.ok(reports.includes("/reports /postponed/a"));
    const manifest = join(sidecar.directory, "plugins", "postponed.yaml");
    await writeFile(manifest, (await readFile(manifest, "utf8")).replace("1.0.0", "1.0.1"));
    await sidecar.logged(({ msg }) => msg === "the office closes");
    assert.ok(reports.includes("/closing "));
  },

  configuration: async ({ ask }) => {
    const { headers } = await ask("/configuration");
    assert.equal(headers["x-greeting"], "good day from the high court, hello from the high court");
  },
};

test("the examples of the AssemblyScript library", { timeout: 120_000 }, async (context) => {
  const examples = await pluginExamples();
  assert.deepEqual(
    examples.map(({ name }) => name),
    Object.keys(checks).sort(),
    "each example is tested",
  );
  await using scene = await openPluginExampleScene(examples);
  for (const [name, check] of Object.entries(checks)) await context.test(name, () => check(scene));
  await context.test("none was surprised by the host, and none died", () => {
    const complaints = scene.sidecar.log.filter(({ level }) => Number(level) >= 40).map(({ msg }) => msg);
    assert.deepEqual(complaints, []);
  });
});
