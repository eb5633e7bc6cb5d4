/** Components that misbehave: each is stopped alone, and others are served meanwhile. */
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { after, before, describe, it } from "node:test";
import { eventually } from "../conformance/backend.ts";
import { ask } from "../support/http.ts";
import { adminToken, type ComponentRig, openComponents } from "./component-rig.ts";

const limits = { memory: "16Mi", budget: "100ms", deadline: "2s", instances: 4 };

describe("a component that misbehaves", () => {
  let rig: ComponentRig;
  before(async () => {
    rig = await openComponents({ limits, fail: "reload" });
  });
  after(() => rig[Symbol.asyncDispose]());
  const crashes = (words: RegExp): Promise<unknown> =>
    rig.sidecar.logged((line) => line.plugin === "service" && words.test(JSON.stringify(line)));
  /** Asks for what goes wrong while others ask for what does not. */
  const amongOthers = async (call: string): Promise<number> => {
    const others = Array.from({ length: 8 }, () => rig.call("count/others"));
    const { status } = await rig.call(call);
    for (const other of await Promise.all(others)) assert.equal(other.status, 200, other.text);
    assert.equal((await rig.call("served")).status, 200, "it is replaced");
    return status;
  };

  it("ends by its fuel in an endless loop", async () => {
    assert.equal(await amongOthers("loop"), 503);
    await crashes(/used up its 100000000 units of fuel in handle/);
  });

  it("ends by its fuel when it catches what stops it, and calls the host on and on", async () => {
    assert.equal(await amongOthers("catchingLoop"), 503);
  });

  it("ends when its memory is full", async () => {
    assert.equal(await amongOthers("allocate"), 503);
    await crashes(/trapped in handle with its 16 MiB of memory full; it is replaced/);
  });

  it("ends when it throws what it does not catch", async () => {
    assert.equal(await amongOthers("throw"), 503);
    await crashes(/trapped in handle/);
  });

  it("has in its log, once, why calls of it are refused, whatever its code makes of that", async () => {
    for (let time = 0; time < 3; time++) assert.equal((await rig.call("denied")).status, 200);
    const why =
      /^a call of the plugin fails with permission-denied: plugin 'service' was not granted the state store 'secret'; let its manifest ask/;
    await rig.sidecar.logged(({ msg, plugin }) => plugin === "service" && why.test(msg));
    const { text } = await ask(rig.sidecar.admin, "/v1/plugins/service/logs?tail=500", {
      headers: { authorization: `Bearer ${adminToken}` },
    });
    const lines = text.split("\n").filter((line) => line.includes("state store 'secret'"));
    assert.equal(lines.length, 1, text);
  });

  it("is given up at its deadline while it waits for the host", async () => {
    const asked = rig.call("wait");
    const others = await Promise.all(Array.from({ length: 8 }, () => rig.call("count/others")));
    assert.deepEqual(new Set(others.map(({ status }) => status)), new Set([200]));
    assert.equal((await asked).status, 503);
    await crashes(/took longer than its deadline of 2000 ms in handle/);
  });

  it("answers a hundred at once with four instances, one after the other", async () => {
    const before = Number(JSON.parse((await rig.call("count/hundred")).text));
    const answers = await Promise.all(Array.from({ length: 100 }, () => rig.call("count/hundred")));
    const counts = answers.map(({ text }) => Number(text)).sort((a, b) => a - b);
    assert.deepEqual(
      counts,
      Array.from({ length: 100 }, (_, index) => before + 1 + index),
    );
    const plugins = JSON.parse((await ask(rig.sidecar.admin, "/v1/plugins")).text);
    const { instances } = plugins.find(({ name }: { name: string }) => name === "service");
    assert.ok(instances <= 5, `${instances} instances, of four and a spare`);
  });

  it("keeps no instance for a request whose body does not come", async () => {
    const slow = Array.from({ length: 8 }, () => {
      const { hostname, port } = new URL(`http://${rig.sidecar.ingress}`);
      const request = httpRequest({ hostname, port, method: "POST", path: "/service/echo" });
      request.on("error", () => {});
      request.write("a part");
      return request;
    });
    const [first] = slow;
    assert.equal((await rig.call("served")).status, 200);
    const answered = new Promise((resolve) => first?.once("response", (response) => resolve(response.statusCode)));
    first?.end(" and the rest");
    assert.equal(await answered, 201);
    for (const request of slow) request.destroy();
    await eventually("the streams end", async () => (await rig.call("served")).status === 200);
  });
});
