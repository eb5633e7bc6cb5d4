/** A Proxy-Wasm filter on an upstream of a running sidecar: who asks does not matter, and it is replaced while they do. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { Agent } from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import { packManifest } from "../../runtime/plugin/packed-manifest.ts";
import { encodePairs } from "../../runtime/proxy-wasm/pairs.ts";
import { OutriggerClient } from "../../sdk/index.ts";
import { serve } from "../integration/ingress-rig.ts";
import { build, deploy } from "../support/demo.ts";
import { ask, askUntil, type HttpAnswer } from "../support/http.ts";
import { cell, drop, guestText, out, type PlaceText } from "../support/proxy-wasm-guest.ts";
import { onFreePorts, type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { assemble } from "../support/wat.ts";

const [versions, clients] = [12, 4];
const token = "open-sesame";
const none = "(i32.const 0) (i32.const 0)";
const has = (place: PlaceText, field: string): string =>
  `(i32.eqz (call $proxy_get_header_map_value (i32.const 0) ${place(field)} ${out}))`;

/** Puts its version on each request. It answers one with `x-shut` itself, and traps at one with `x-trap`. */
async function stampOf(version: number): Promise<Uint8Array> {
  const text = guestText((place) => ({
    on: {
      proxy_on_request_headers: `
        (if ${has(place, "x-trap")} (then (unreachable)))
        (if ${has(place, "x-shut")} (then
          ${drop(`(call $proxy_send_local_response (i32.const 403) ${none} ${place("shut")} ${none} (i32.const -1))`)}
          (return (i32.const 1))))
        ${drop(`(call $proxy_replace_header_map_value (i32.const 0) ${place("x-stamp")} ${place(`${version}`)})`)}
        (i32.const 0)`,
    },
  }));
  return packManifest(await assemble(`stamp-${version}`, text), stringify({ name: "stamp", version: `${version}` }));
}

/** Where the stream is kept that waits for the answer of that token. */
const placeOf = (token: string): string =>
  `(i32.add (i32.const 16384) (i32.shl (i32.and ${token} (i32.const 1023)) (i32.const 2)))`;

/** Asks an upstream in the middle of each request, and then does what `answered` says; the answer is shown meanwhile. */
async function askerOf(name: string, upstream: string, answered: string): Promise<Uint8Array> {
  const fields: [string, string][] = [
    [":method", "GET"],
    [":path", "/asked"],
    [":authority", upstream],
  ];
  const head = Buffer.from(encodePairs(fields)).toString("latin1");
  const text = guestText((place) => ({
    on: {
      proxy_on_request_headers: `
        ${drop(`(call $proxy_http_call ${place(upstream)} ${place(head)} ${none} ${none} (i32.const 5000) ${cell})`)}
        (i32.store ${placeOf("(i32.load (i32.const 8))")} (local.get $id))
        (i32.const 1)`,
      proxy_on_http_call_response: `
        ${drop(`(call $proxy_get_buffer_bytes (i32.const 4) (i32.const 0) (local.get $size) ${out})`)}
        ${drop(`(call $proxy_set_effective_context (i32.load ${placeOf("(local.get $token)")}))`)}
        ${drop(answered)}`,
    },
  }));
  const manifest = { name, version: "1", capabilities: { upstreams: [upstream] } };
  return packManifest(await assemble(name, text), stringify(manifest));
}

const answerWithIt = `(call $proxy_send_local_response (i32.const 200) ${none}
  (i32.load (i32.const 0)) (i32.load (i32.const 4)) ${none} (i32.const -1))`;
const goOn = "(call $proxy_continue_stream (i32.const 0))";

describe("the filters of an upstream", { timeout: 300_000 }, () => {
  const open = new AsyncDisposableStack();
  const asked: string[] = [];
  let sidecar: Sidecar;
  let configuration: Record<string, unknown>;
  let upstreams: Record<string, object>;
  let directory = "";

  before(
    async () => {
      const people = open.use(
        await serve(({ url = "", headers }, response) => {
          asked.push(url);
          response.end(`${headers["x-stamp"] ?? "none"}`);
        }),
      );
      directory = open.use(await temporaryDirectory()).path;
      const drops = {
        stamp: stampOf(1),
        asker: askerOf("asker", "people", answerWithIt),
        self: askerOf("self", "loop", goOn),
        left: askerOf("left", "b", goOn),
        right: askerOf("right", "a", goOn),
      };
      for (const [name, module] of Object.entries(drops)) {
        await writeFile(join(directory, "plugins", `${name}.wasm`), await module);
      }
      await deploy(directory, "hello-http", await build("hello-http", "1.0.0"));
      const to = (upstream: string) => ({ to: { upstream } });
      upstreams = {
        people: { endpoints: [people.address], filters: ["stamp"] },
        lenient: { endpoints: [people.address], filters: [{ plugin: "stamp", fail: "open" }] },
        loop: { endpoints: [people.address], filters: ["self", "stamp"] },
        a: { endpoints: [people.address], filters: ["left", "stamp"] },
        b: { endpoints: [people.address], filters: ["right", "stamp"] },
      };
      configuration = {
        admin: { token },
        plugins: {
          directory: "./plugins",
          grants: {
            "hello-http": { upstreams: ["people"] },
            asker: { upstreams: ["people"] },
            self: { upstreams: ["loop"] },
            left: { upstreams: ["b"] },
            right: { upstreams: ["a"] },
          },
        },
        upstreams,
        ingress: {
          routes: [
            { match: { prefix: "/people" }, ...to("people") },
            { match: { prefix: "/lenient" }, ...to("lenient") },
            { match: { prefix: "/loop" }, ...to("loop") },
            { match: { prefix: "/left" }, ...to("a") },
            { match: { prefix: "/ask" }, filters: ["asker"], ...to("loop") },
            { match: { prefix: "/hello" }, to: { plugin: "hello-http" } },
          ],
        },
      };
      sidecar = open.use(await startSidecar(directory, configuration));
      await askUntil(sidecar.ingress, "/hello", ({ status }) => status === 200);
    },
    { timeout: 300_000 },
  );
  after(() => open.disposeAsync());

  const textOf = async (path: string, headers: Record<string, string> = {}): Promise<string> => {
    const { status, text } = await ask(sidecar.ingress, path, { headers });
    return `${status} ${text}`;
  };
  const post = (path: string, body: Uint8Array | string = "") =>
    ask(sidecar.admin, path, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": body === "" ? "application/json" : "application/wasm",
      },
      body,
    });

  it("see what a route, a component, a plugin's call and the API ask of it", async () => {
    assert.equal(await textOf("/people"), "200 1");
    assert.equal(await textOf("/hello/whoami"), `200 ${JSON.stringify({ greeting: "hello 1" })}`);
    assert.equal(await textOf("/ask"), "200 1");
    await using client = new OutriggerClient({ address: sidecar.grpc });
    assert.equal((await client.invoke.http({ id: "people", path: "/invoked" })).body.text(), "1");
  });

  it("answer in place of it", async () => {
    asked.length = 0;
    assert.equal(await textOf("/people", { "x-shut": "1" }), "403 shut");
    assert.deepEqual(asked, []);
  });

  it("end the request when they fail, or are left out", async () => {
    assert.equal(await textOf("/people", { "x-trap": "1" }), "503 plugin 'stamp' cannot serve now\n");
    assert.equal(await textOf("/lenient", { "x-trap": "1" }), "200 none");
    assert.equal(await textOf("/people"), "200 1", "its next instance serves");
  });

  it("do not come back to themselves when they ask the upstream that they are of", async () => {
    asked.length = 0;
    assert.equal(await textOf("/loop"), "200 1");
    assert.deepEqual(asked, ["/asked", "/loop"]);
  });

  it("do not come back to themselves by way of each other", async () => {
    asked.length = 0;
    assert.equal(await textOf("/left"), "200 1");
    assert.deepEqual(asked, ["/asked", "/asked", "/left"]);
  });

  it("are put on trial for a part of the requests", async () => {
    const rollout = encodeURIComponent(JSON.stringify({ canary: { percent: 50 } }));
    assert.ok((await post(`/v1/plugins?rollout=${rollout}`, await stampOf(100))).status < 300);
    assert.ok((await post("/v1/plugins/stamp/pause")).status < 300);
    for (const version of ["1", "100", "1"]) await askUntil(sidecar.ingress, "/people", ({ text }) => text === version);
    assert.ok((await post("/v1/plugins/stamp/abort")).status < 300);
    assert.equal(await textOf("/people"), "200 1");
  });

  it(`are replaced ${versions} times, and gone back, while nothing fails`, async () => {
    const failures: string[] = [];
    let isOver = false;
    const paths = ["/people", "/ask", "/hello/whoami"];
    const client = async (): Promise<void> => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (let turn = 0; !isOver; turn++) {
        const path = paths[turn % paths.length] ?? "";
        const { status, text } = await ask(sidecar.ingress, path, { agent }).catch(
          (error: Error): Pick<HttpAnswer, "status" | "text"> => ({ status: 0, text: error.message }),
        );
        if (status !== 200 || text.includes("none")) failures.push(`${path} ${status} ${text}`);
      }
      agent.destroy();
    };
    const all = Array.from({ length: clients }, client);
    try {
      for (let version = 2; version <= versions + 1; version++) {
        const { status, text } = await post("/v1/plugins", await stampOf(version));
        assert.ok(status < 300, text);
        await askUntil(sidecar.ingress, "/people", (answer) => answer.text === `${version}`);
      }
      assert.ok((await post("/v1/plugins/stamp/rollback")).status < 300);
      await askUntil(sidecar.ingress, "/people", (answer) => answer.text === `${versions}`);
    } finally {
      isOver = true;
      await Promise.all(all);
    }
    assert.deepEqual(failures, []);
  });

  it("follow the configuration, and one that is no filter is refused with what was there going on", async () => {
    const change = (upstream: object): Promise<void> => {
      const people = { ...upstreams.people, ...upstream };
      const changed = { ...configuration, upstreams: { ...upstreams, people } };
      return writeFile(join(directory, "outrigger.yaml"), stringify(onFreePorts(changed)));
    };
    await change({ filters: [] });
    await askUntil(sidecar.ingress, "/people", ({ text }) => text === "none");
    await change({ filters: ["hello-http"] });
    const refused = await sidecar.logged(({ err }) => /of kind service/.test(JSON.stringify(err)));
    assert.match(
      JSON.stringify(refused),
      /plugin 'hello-http' is of kind service; upstreams\.people\.filters takes plugins of kind filter/,
    );
    assert.equal(await textOf("/people"), "200 none");
    await change({ filters: ["nobody"] });
    await askUntil(sidecar.ingress, "/people", ({ status }) => status === 503);
    await sidecar.logged(({ msg }) => /upstream 'people' has a filter 'nobody' that cannot serve/.test(msg));
    const ready = await ask(sidecar.admin, "/actuator/health/readiness");
    assert.match(ready.text, /plugin 'nobody' cannot serve/);
  });
});
