import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type AdminScene, openAdminScene } from "../../test/support/admin.ts";
import { ask, type HttpAnswer } from "../../test/support/http.ts";
import { pem } from "../../test/support/plugin-source.ts";
import { toyModule } from "../../test/support/toy-engine.ts";
import { packManifest } from "../plugin/packed-manifest.ts";

const first = await toyModule(201);
const second = await toyModule(202);
const manifest = (version: string): string => `name: orders\nversion: ${version}\n`;
const packed = (module: Uint8Array, version: string): Uint8Array => packManifest(module, manifest(version));

const bearer = { authorization: "Bearer let-me-in" };
const wasm = { ...bearer, "content-type": "application/wasm" };
const json = { ...bearer, "content-type": "application/json" };

const upload = ({ admin }: AdminScene, module: Uint8Array, path = "/v1/plugins", headers = {}): Promise<HttpAnswer> =>
  ask(admin.address, path, {
    method: path.startsWith("/v1/plugins/") ? "PUT" : "POST",
    headers: { ...wasm, ...headers },
    body: module,
  });
const post = ({ admin }: AdminScene, path: string, body: unknown = {}): Promise<HttpAnswer> =>
  ask(admin.address, path, { method: "POST", headers: json, body: JSON.stringify(body) });
const get = async (
  { admin }: AdminScene,
  path: string,
): Promise<{ readonly status: number; readonly body: Told; readonly list: readonly Told[] }> => {
  const { status, text } = await ask(admin.address, path, { headers: bearer });
  const body = JSON.parse(text);
  return { status, body, list: body };
};

type Words = "name" | "version" | "state" | "role" | "by" | "origin" | "action" | "outcome" | "error" | "step";
/** What an answer may say. */
type Told = { readonly [Word in Words]?: string } & { readonly code?: number; readonly status?: Told };
const errorOf = ({ status, text }: HttpAnswer): string => `${status} ${(JSON.parse(text) as { error: string }).error}`;

describe("the routes of plugins", () => {
  it("deploy what is uploaded, and tell it with its versions and its history", async () => {
    await using scene = await openAdminScene();
    const created = await upload(scene, packed(first, "1.0.0"));
    assert.deepEqual([created.status, JSON.parse(created.text).version], [201, "1.0.0"]);
    const replaced = await upload(scene, packed(second, "2.0.0"), "/v1/plugins/orders");
    assert.deepEqual([replaced.status, JSON.parse(replaced.text).version], [200, "2.0.0"]);

    const one = await get(scene, "/v1/plugins/orders");
    assert.deepEqual([one.body.name, one.body.version, one.body.state], ["orders", "2.0.0", "serving"]);
    const versions = (await get(scene, "/v1/plugins/orders/versions")).list;
    assert.deepEqual(
      versions.map(({ role, version, by, origin }) => [role, version, by, origin]),
      [
        ["stable", "2.0.0", "ci", "upload"],
        ["previous", "1.0.0", "ci", "upload"],
      ],
    );
    assert.equal(versions[0] !== undefined && "manifest" in versions[0], false);
    const [last, ...older] = (await get(scene, "/v1/plugins/orders/history?limit=1")).list;
    assert.equal(older.length, 0);
    assert.deepEqual([last?.action, last?.version, last?.by, last?.outcome], ["deploy", "2.0.0", "ci", "done"]);
  });

  it("take the manifest of an upload beside it, and a name for a bare module", async () => {
    await using scene = await openAdminScene();
    const beside = new URLSearchParams({ manifest: manifest("3.0.0") });
    assert.equal(JSON.parse((await upload(scene, first, `/v1/plugins?${beside}`)).text).version, "3.0.0");
    assert.equal(JSON.parse((await upload(scene, first, "/v1/plugins?name=bare")).text).name, "bare");
    assert.equal((await upload(scene, first, "/v1/plugins/other")).status, 201);
    assert.match(errorOf(await upload(scene, first)), /^422 .*no manifest inside; give one with it, or a name/);
    const wrong = errorOf(await upload(scene, packed(first, "1.0.0"), "/v1/plugins/other"));
    assert.equal(wrong, "422 the manifest is that of plugin 'orders', not of 'other'");
    const digest = errorOf(await upload(scene, first, `/v1/plugins?name=a&sha256=sha256:${"0".repeat(64)}`));
    assert.match(digest, /^422 the module that was uploaded is sha256:[0-9a-f]{64}, not sha256:0000/);
    assert.match(errorOf(await upload(scene, first, "/v1/plugins?nme=a")), /^400 .*nme: unknown key; did you mean/);
  });

  it("refuse what the plugin checks refuse, and leave what runs alone", async () => {
    await using scene = await openAdminScene();
    await upload(scene, packed(first, "1.0.0"));
    const broken = packed(second, "2.0.0");
    assert.match(errorOf(await upload(scene, broken.subarray(0, -10))), /^422 .*the file is cut off/);
    assert.match(
      errorOf(await upload(scene, Buffer.from("no module"), "/v1/plugins/orders")),
      /^422 .*not WebAssembly/,
    );
    assert.equal((await get(scene, "/v1/plugins/orders")).body.version, "1.0.0");
    const missing = await post(scene, "/v1/plugins", { reference: "missing.wasm" });
    assert.equal(missing.status, 422);
    const refused = (await get(scene, "/v1/plugins/orders/history")).list.filter(
      ({ outcome }) => outcome === "refused",
    );
    assert.equal(refused.length, 2);
  });

  it("go back to a version, promote and abort, and say when that is not possible", async () => {
    await using scene = await openAdminScene();
    await upload(scene, packed(first, "1.0.0"));
    assert.match(errorOf(await post(scene, "/v1/plugins/orders/promote")), /^409 /);
    assert.match(errorOf(await post(scene, "/v1/plugins/orders/rollback")), /^409 /);
    const rollout = encodeURIComponent('{"stagedOnly":true}');
    const staged = await upload(scene, packed(second, "2.0.0"), `/v1/plugins?rollout=${rollout}`);
    assert.equal(JSON.parse(staged.text).trial.phase, "staged");
    assert.equal((await post(scene, "/v1/plugins/orders/abort")).status, 200);
    await upload(scene, packed(second, "2.0.0"), `/v1/plugins?rollout=${rollout}`);
    assert.equal(JSON.parse((await post(scene, "/v1/plugins/orders/promote")).text).version, "2.0.0");
    assert.equal(JSON.parse((await post(scene, "/v1/plugins/orders/rollback", { to: "1.0.0" })).text).version, "1.0.0");
    assert.match(
      errorOf(await post(scene, "/v1/plugins/orders/rollback", { to: 1 })),
      /^400 .*to: expected text, found 1/,
    );
    const removed = await ask(scene.admin.address, "/v1/plugins/orders", { method: "DELETE", headers: bearer });
    assert.equal(removed.status, 200);
    assert.equal((await get(scene, "/v1/plugins/orders")).status, 404);
    const actions = (await get(scene, "/v1/plugins/orders/history")).list.map(({ action }) => action);
    assert.equal(actions[0], "undeploy");
  });

  it("know which plugins there are", async () => {
    await using scene = await openAdminScene();
    await upload(scene, packed(first, "1.0.0"));
    for (const path of ["", "/versions", "/logs"]) {
      const answer = await get(scene, `/v1/plugins/order${path}`);
      assert.deepEqual([answer.status, answer.body.error], [404, "no plugin is named 'order'; orders are deployed"]);
    }
    for (const action of ["promote", "abort", "pause", "resume", "rollback"]) {
      assert.equal((await post(scene, `/v1/plugins/order/${action}`)).status, 404);
    }
  });

  it("fetch by path only below the plugins directory", async () => {
    await using scene = await openAdminScene();
    await writeFile(join(scene.plugins, "orders.wasm"), first);
    await writeFile(join(scene.plugins, "orders.yaml"), manifest("1.0.0"));
    for (const [reference, status] of [
      ["orders.wasm", 201],
      ["file:orders.wasm", 200],
    ] as const) {
      const deployed = await post(scene, "/v1/plugins", { reference });
      assert.deepEqual([deployed.status, JSON.parse(deployed.text).version], [status, "1.0.0"]);
    }
    for (const reference of ["/etc/hostname", "../data/plugins/history.jsonl", "orders.yaml/../../x.wasm", "."]) {
      assert.match(
        errorOf(await post(scene, "/v1/plugins", { reference })),
        /^422 there is no '.*' below plugins\.directory/,
      );
    }
    assert.match(
      errorOf(await post(scene, "/v1/plugins", { refrence: "a" })),
      /^400 the body is not as expected: .*did you mean/,
    );
    const bad = await ask(scene.admin.address, "/v1/plugins", { method: "POST", headers: json, body: "{" });
    assert.equal(errorOf(bad), "400 the body is not valid JSON");
  });

  it("deploy nothing by a query that is not wholly understood", async () => {
    await using scene = await openAdminScene();
    await upload(scene, packed(first, "1.0.0"));
    const policy = encodeURIComponent('{"canary":{"percent":1}}');
    for (const [query, message] of [
      ["rollout={canary:{percent:1}}", /rollout: expected JSON, such as \{"canary":\{"percent":5\}\}, found/],
      ["rollout={", /rollout: expected JSON/],
      ["rollout=", /rollout: expected JSON/],
      ["rollout=null", /rollout: expected/],
      ["rollout=1", /rollout: expected/],
      ["rollout=%22canary%22", /rollout: expected/],
      ["rollout=[]", /rollout: expected/],
      [`rolout=${policy}`, /rolout: unknown key; did you mean 'rollout'/],
      [`Rollout=${policy}`, /Rollout: unknown key/],
      [`rollout=${policy}&rollout=`, /rollout is given more than once/],
      ["sha256=", /sha256: expected sha256:/],
      ["signature=", /signature: expected base64/],
      ["signature=a+b", /signature: expected base64, in which a URL has %2B for \+/],
      ["name=", /name: /],
      ["name=other", /the query names plugin 'other', and the path 'orders'/],
      ["__proto__=1", /__proto__: unknown key/],
    ] as const) {
      const answer = errorOf(await upload(scene, packed(second, "2.0.0"), `/v1/plugins/orders?${query}`));
      assert.match(answer, /^400 /, query);
      assert.match(answer, message, query);
    }
    const fetched = await post(scene, `/v1/plugins?rollout=${policy}`, { reference: "orders.wasm" });
    assert.match(errorOf(fetched), /^400 the query is for uploads/);
    const one = await get(scene, "/v1/plugins/orders");
    assert.deepEqual([one.body.version, "trial" in one.body], ["1.0.0", false]);
    assert.equal((await get(scene, "/v1/plugins/orders/history")).list.length, 1);
  });

  it("take no query where there is none, and no number that is none", async () => {
    await using scene = await openAdminScene();
    await upload(scene, packed(first, "1.0.0"));
    await upload(scene, packed(second, "2.0.0"));
    for (const query of [
      "history?limit=",
      "history?limit=x",
      "history?limit=0",
      "history?limt=1",
      "versions?limit=1",
    ]) {
      assert.equal((await get(scene, `/v1/plugins/orders/${query}`)).status, 400, query);
    }
    for (const query of ["tail=", "tail=1.5", "tail=1&tail=2", "follow=yes", "folow"]) {
      assert.equal((await get(scene, `/v1/plugins/orders/logs?${query}`)).status, 400, query);
    }
    assert.match(errorOf(await post(scene, "/v1/plugins/orders/rollback?to=1.0.0")), /^400 .*to: unknown key/);
    const removal = { method: "DELETE", headers: bearer };
    assert.equal((await ask(scene.admin.address, "/v1/plugins/orders?version=1.0.0", removal)).status, 400);
    assert.equal((await get(scene, "/v1/plugins/orders")).body.version, "2.0.0");
  });

  it("say of an upload's manifest what is wrong, by the name that it was to have", async () => {
    await using scene = await openAdminScene();
    const bad = new URLSearchParams({ manifest: "name: orders\nkindd: service\n" });
    assert.match(
      errorOf(await upload(scene, first, `/v1/plugins?${bad}`)),
      /^422 the manifest of the upload has a mistake: kindd: unknown key; did you mean 'kind'/,
    );
    assert.match(
      errorOf(await upload(scene, first, `/v1/plugins/orders?${bad}`)),
      /^422 the manifest of plugin 'orders' \(upload\) has a mistake: kindd/,
    );
    assert.match(errorOf(await upload(scene, first, "/v1/plugins?manifest=")), /^422 the manifest of the upload has /);
  });

  it("take an upload where it must be signed when it is, over its bytes and with its manifest inside", async () => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const stranger = generateKeyPairSync("ed25519");
    const keys = [pem(publicKey)];
    const by = (module: Uint8Array, key = privateKey): string =>
      sign(key === privateKey ? "sha256" : null, module, key).toString("base64");
    await using scene = await openAdminScene({}, { signatures: { keys, require: true } });
    const send = async (module: Uint8Array, query: Readonly<Record<string, string>>): Promise<string> => {
      const answer = await upload(scene, module, `/v1/plugins?${new URLSearchParams(query)}`);
      return answer.status < 300 ? `${answer.status} ${JSON.parse(answer.text).version}` : errorOf(answer);
    };
    const module = packed(first, "1.0.0");
    assert.match(await send(module, {}), /^422 plugin 'orders' is not deployed from an upload: it is not signed/);
    for (const signature of [by(module, stranger.privateKey), by(packed(second, "1.0.0")), "AAAA"]) {
      assert.match(await send(module, { signature }), /^422 .*its signature is by none of the keys/);
    }
    assert.equal(await send(module, { signature: by(module) }), "201 1.0.0");
    for (const query of [{ manifest: manifest("2.0.0") }, { name: "orders" }]) {
      assert.match(
        await send(first, { ...query, signature: by(first) }),
        /^422 .*put that inside with 'outrigger pack'/,
      );
      const beside = { ...query, manifest: manifest("2.0.0"), signature: by(module) };
      assert.match(await send(module, beside), /^422 .*put that inside with 'outrigger pack'/);
    }
    assert.equal((await get(scene, "/v1/plugins/orders")).body.version, "1.0.0");

    await using lenient = await openAdminScene({}, { signatures: { keys, require: ["oci://*"] } });
    const query = new URLSearchParams({ signature: "AAAA", manifest: manifest("3.0.0") });
    assert.equal((await upload(lenient, first, `/v1/plugins?${query}`)).status, 201);
    await using named = await openAdminScene({}, { signatures: { keys, require: ["upload"] } });
    assert.match(errorOf(await upload(named, module)), /^422 .*it is not signed/);
    await using broken = await openAdminScene({}, { signatures: { keys: ["key.pem"] } });
    assert.match(errorOf(await upload(broken, module)), /^422 .*key\.pem of plugins\.signatures\.keys/);
  });

  it("tell the steps of a deploy line by line, and the status or the error at the end", async () => {
    await using scene = await openAdminScene();
    const accept = { accept: "application/x-ndjson" };
    const lines = ({ text }: HttpAnswer): Told[] =>
      text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
    const done = await upload(scene, packed(first, "1.0.0"), "/v1/plugins", accept);
    assert.match(String(done.headers["content-type"]), /x-ndjson/);
    const steps = lines(done);
    assert.equal(steps[0]?.step, "fetch");
    assert.ok(steps.some(({ step }) => step === "switch"));
    assert.equal(steps.at(-1)?.status?.version, "1.0.0");
    const refused = lines(await upload(scene, Buffer.from("no module"), "/v1/plugins/orders", accept)).at(-1);
    assert.equal(refused?.code, 422);
    assert.match(refused?.error ?? "", /not WebAssembly/);
  });

  it("need a token for everything but reading, and for the log", async () => {
    await using scene = await openAdminScene();
    await upload(scene, packed(first, "1.0.0"));
    const { address } = scene.admin;
    for (const [method, path] of [
      ["POST", "/v1/plugins"],
      ["PUT", "/v1/plugins/orders"],
      ["DELETE", "/v1/plugins/orders"],
      ["POST", "/v1/plugins/orders/rollback"],
      ["GET", "/v1/plugins/orders/logs"],
      ["POST", "/wasm/install"],
    ] as const) {
      assert.equal((await ask(address, path, { method })).status, 401, `${method} ${path}`);
    }
    assert.equal((await ask(address, "/v1/plugins/orders/history")).status, 200);
    assert.equal((await ask(address, "/v1/plugins/orders")).status, 200);
  });

  it("turn a stranger's upload away before it is sent, and one that is too large in the middle", async () => {
    await using scene = await openAdminScene();
    const [host, port] = scene.admin.address.split(":");
    const head = `POST /v1/plugins HTTP/1.1\r\nHost: ${scene.admin.address}\r\nContent-Type: application/wasm\r\n`;
    const socket = connect(Number(port), host);
    socket.write(`${head}Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n`);
    const [answer] = await once(socket.setEncoding("utf8"), "data");
    assert.match(answer, /^HTTP\/1\.1 401 /);
    socket.destroy();

    const large = httpRequest({ host, port, path: "/v1/plugins", method: "POST", headers: wasm });
    large.on("error", () => {});
    const answered = once(large, "response") as Promise<[IncomingMessage]>;
    const part = Buffer.alloc(4 * 1024 ** 2);
    const write = (): void => {
      while (!large.destroyed && large.write(part));
    };
    large.on("drain", write);
    write();
    const [response] = await answered;
    assert.equal(response.statusCode, 413);
    large.destroy();
    assert.equal((await get(scene, "/v1/plugins")).status, 200);
  });

  it("give the last lines of a plugin, and go on with new ones", async () => {
    await using scene = await openAdminScene();
    await upload(scene, packed(first, "1.0.0"));
    for (let number = 0; number < 600; number++) scene.logs.add("orders", "1.0.0", "info", `line ${number}`);
    const messages = (text: string): string[] =>
      text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).message);
    const tail = await ask(scene.admin.address, "/v1/plugins/orders/logs?tail=2", { headers: bearer });
    assert.deepEqual(messages(tail.text), ["line 598", "line 599"]);
    assert.equal(scene.logs.tail("orders", 1_000).length, 500);

    const [host, port] = scene.admin.address.split(":");
    const path = "/v1/plugins/orders/logs?follow&tail=1";
    const request = httpRequest({ host, port, path, headers: bearer }).end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    let text = "";
    response.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    while (!text.endsWith("\n")) await once(response, "data");
    scene.logs.add("orders", "1.0.0", "warn", "new");
    while (messages(text).length < 2) await once(response, "data");
    assert.deepEqual(messages(text), ["line 599", "new"]);
    request.destroy();
  });
});
