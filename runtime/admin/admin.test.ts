import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { openAdminScene } from "../../test/support/admin.ts";
import type { LogLevel } from "../telemetry/log.ts";
import type { Admin, AdminOptions } from "./admin.ts";

async function open(changes: Partial<AdminOptions> = {}): Promise<Admin & { readonly levels: readonly LogLevel[] }> {
  const { admin, levels, ...scene } = await openAdminScene(changes);
  return { ...admin, levels, [Symbol.asyncDispose]: () => scene[Symbol.asyncDispose]() };
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

function ask(
  address: string,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  const [host, port] = address.split(":");
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { host, port, path, method: options.method ?? "GET", headers: options.headers },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      },
    );
    request.on("error", reject).end(options.body);
  });
}

const json = { "content-type": "application/json" };
const bearer = { authorization: "Bearer open-sesame" };

describe("the admin API", () => {
  it("shows health, info, metrics and plugins", async () => {
    await using admin = await open();
    const live = await ask(admin.address, "/actuator/health/liveness");
    assert.deepEqual([live.status, JSON.parse(live.text)], [200, { status: "UP", components: {} }]);
    const ready = await ask(admin.address, "/actuator/health/readiness");
    assert.equal(ready.status, 503);
    assert.match(ready.text, /plugin 'x' is not deployed/);
    const info = JSON.parse((await ask(admin.address, "/actuator/info")).text);
    assert.deepEqual([info.app.name, info.app.version], ["Outrigger", "1.2.3"]);
    const metrics = await ask(admin.address, "/metrics");
    assert.match(metrics.text, /^outrigger_test_total 3$/m);
    assert.match(String(metrics.headers["content-type"]), /^text\/plain/);
    assert.deepEqual(JSON.parse((await ask(admin.address, "/v1/plugins")).text), []);
  });

  it("changes the log level for who has the token", async () => {
    await using admin = await open();
    const body = JSON.stringify({ level: "debug" });
    const answer = await ask(admin.address, "/actuator/logger", {
      method: "POST",
      headers: { ...json, ...bearer },
      body,
    });
    assert.equal(answer.status, 200);
    assert.deepEqual(admin.levels, ["debug"]);
    const wrong = await ask(admin.address, "/actuator/logger", {
      method: "POST",
      headers: { ...json, ...bearer },
      body: "{",
    });
    assert.equal(wrong.status, 400);
    assert.match(wrong.text, /one of trace, debug/);
  });

  it("refuses whatever could change something without the token", async () => {
    await using admin = await open();
    const post = (headers: Record<string, string>) =>
      ask(admin.address, "/actuator/logger", {
        method: "POST",
        headers: { ...json, ...headers },
        body: '{"level":"debug"}',
      });
    assert.equal((await post({})).status, 401);
    assert.equal((await post({ authorization: "Bearer wrong" })).status, 401);
    assert.equal((await post({ authorization: "Basic open-sesame" })).status, 401);
    assert.deepEqual(admin.levels, []);
  });

  it("refuses everything but GET when no token is configured", async () => {
    await using admin = await open({ tokens: new Map() });
    const answer = await ask(admin.address, "/actuator/logger", {
      method: "POST",
      headers: json,
      body: '{"level":"debug"}',
    });
    assert.equal(answer.status, 403);
    assert.match(answer.text, /set admin\.token/);
  });

  it("refuses a Host that is not its own, and a foreign Origin, whatever the method", async () => {
    await using admin = await open();
    const port = admin.address.split(":")[1];
    for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1:1", "127.0.0.1.evil.example"]) {
      assert.equal((await ask(admin.address, "/v1/plugins", { headers: { host } })).status, 403, host);
    }
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `LOCALHOST:${port}`]) {
      assert.equal((await ask(admin.address, "/v1/plugins", { headers: { host } })).status, 200, host);
    }
    const origin = (value: string) => ask(admin.address, "/v1/plugins", { headers: { origin: value } });
    assert.equal((await origin("http://evil.example")).status, 403);
    assert.equal((await origin("null")).status, 403);
    assert.equal((await origin(`http://localhost:${port}`)).status, 200);
  });

  it("takes bodies of JSON only, and none that is large", async () => {
    await using admin = await open();
    const post = (type: string, body: string) =>
      ask(admin.address, "/actuator/logger", { method: "POST", headers: { ...bearer, "content-type": type }, body });
    assert.equal((await post("text/plain", '{"level":"debug"}')).status, 415);
    assert.equal((await post("application/json; charset=utf-8", '{"level":"debug"}')).status, 200);
    assert.equal((await post("application/json", " ".repeat(1024 ** 2 + 1))).status, 413);
  });

  it("closes with connections open on which nothing, half a request or a whole one came", async () => {
    const admin = await open();
    const [host, port] = admin.address.split(":");
    const sent = ["", "GET /metrics HT", `GET /metrics HTTP/1.1\r\nHost: ${admin.address}\r\n\r\n`];
    const sockets = sent.map((text) => {
      const socket = connect(Number(port), host);
      socket.write(text);
      return socket;
    });
    const closed = Promise.all(sockets.map((socket) => once(socket.resume(), "close")));
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    assert.equal((await ask(admin.address, "/metrics")).status, 200);
    await admin[Symbol.asyncDispose]();
    await closed;
  });

  it("says which paths and methods there are", async () => {
    await using admin = await open();
    const missing = await ask(admin.address, "/v1/plugin");
    assert.equal(missing.status, 404);
    assert.match(missing.text, /\/v1\/plugins/);
    const wrong = await ask(admin.address, "/v1/plugins", { method: "DELETE", headers: bearer });
    assert.deepEqual([wrong.status, wrong.headers.allow], [405, "GET, POST"]);
    assert.deepEqual((await ask(admin.address, "/actuator/info?x=1", { method: "HEAD" })).status, 200);
  });

  it("serves health and metrics only where probes listen, whatever the Host", async () => {
    await using admin = await open({ probes: "127.0.0.1:0" });
    const probes = admin.probesAddress ?? assert.fail("no probes listener");
    assert.equal((await ask(probes, "/metrics", { headers: { host: "10.0.0.7:34903" } })).status, 200);
    assert.equal((await ask(probes, "/actuator/health/liveness")).status, 200);
    assert.equal((await ask(probes, "/v1/plugins")).status, 404);
    assert.equal(
      (await ask(probes, "/actuator/logger", { method: "POST", headers: { ...json, ...bearer } })).status,
      404,
    );
  });
});
