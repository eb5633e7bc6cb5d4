/** The plugins of test/plugins/c and test/plugins/cpp, written against the ABI itself, in a sidecar: what each does to real requests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Echoed, fieldsOf } from "../integration/ingress-rig.ts";
import { cPlugins } from "../support/c-plugins.ts";
import type { HttpAnswer } from "../support/http.ts";
import { buildAndRunMs, checkPlugins, echoed, type PluginChecks, saysHello } from "../support/plugin-checks.ts";
import type { PluginCast } from "../support/plugin-scene.ts";
import { startedFor } from "../support/programs.ts";

const cast: Omit<PluginCast, "modules"> = {
  manifests: {
    turnstile: { configuration: "3", environment: { TOWN: "Delft" } },
    veteran: { configuration: "an old hand", capabilities: { upstreams: ["people"] } },
    concierge: { configuration: "welcome,", capabilities: { upstreams: ["people"] } },
    stumbler: { limits: { budget: "100ms" } },
  },
  onTcp: "interpreter",
};

const checks: PluginChecks = {
  "bare, of C without a library, changes fields": async ({ sidecar, ask }) => {
    const answer = await ask("/bare", { headers: { "x-name": "ada", "x-removed": "yes" } });
    const fields = fieldsOf(echoed(answer));
    assert.equal(fields.get("x-greeted"), "ada");
    assert.equal(fields.get("x-ends"), "yes");
    assert.equal(fields.has("x-removed"), false);
    assert.equal(answer.headers["x-made-of"], "nothing");
    await sidecar.logged(({ plugin, msg }) => plugin === "bare" && msg === "bare is here");
  },

  "turnstile, of C on wasi-libc, turns bodies around and lets three pass": async ({ sidecar, ask }) => {
    const turned = await ask("/turnstile/a", { method: "POST", body: "a body" });
    const { body, rawHeaders, method } = JSON.parse([...turned.text].reverse().join("")) as Echoed;
    assert.equal(method, "POST");
    assert.equal(body, "ydob a");
    const fields = fieldsOf({ body, rawHeaders, method, url: "", trailers: {} });
    assert.equal(fields.get("x-passed"), "1");
    assert.equal(fields.get("x-year"), String(new Date().getUTCFullYear()));
    for (let more = 2; more <= 3; more++) assert.equal((await ask("/turnstile/slowly")).text, "txet emos");
    const refused = await ask("/turnstile/text");
    assert.equal(refused.status, 429);
    assert.equal(refused.text, "dessap evah 3", "an answer of its own passes it, too");
    assert.match((await ask("/metrics", {}, sidecar.admin)).text, /turnstile_turned_away\{[^}]*\} 1$/m);
    await sidecar.logged(({ plugin, msg }) => plugin === "turnstile" && msg === "in Delft");
  },

  "clerk, a command of ABI 0.2.0, keeps what its main has prepared": async ({ sidecar, ask }) => {
    assert.match(String(fieldsOf(echoed(await ask("/clerk"))).get("x-drawer")), /^drawer [012]$/);
    await sidecar.logged(({ plugin, msg }) => plugin === "clerk" && msg === "the clerk is in");
  },

  "veteran, of ABI 0.1.0 and wasi_unstable, asks an upstream": async ({ sidecar, ask }) => {
    const fields = fieldsOf(echoed(await ask("/veteran")));
    assert.equal(fields.get("x-user"), "bob");
    assert.equal(fields.get("x-late"), "yes");
    await sidecar.logged(({ plugin, msg }) => plugin === "veteran" && msg === "an old hand");
  },

  "concierge, of C++ with static constructors, asks who it is and remembers": async ({ sidecar, ask }) => {
    const visited = (name: string): Promise<HttpAnswer> =>
      ask("/concierge", { headers: { authorization: `Bearer ${name}` } });
    const first = await visited("ada");
    assert.equal(fieldsOf(echoed(first)).get("x-guest"), "welcome, ada");
    assert.equal(first.headers["x-visits"], "1");
    assert.equal(first.headers["x-plugin"], "concierge");
    assert.equal(first.headers["x-application"], "stable");
    assert.equal(first.headers["x-internal-node"], undefined);
    const more = await Promise.all(["ada", "ada", "bob"].map(visited));
    assert.deepEqual(more.map(({ headers }) => headers["x-visits"]).sort(), ["1", "2", "3"]);
    const unknown = await visited("eve");
    assert.equal(unknown.status, 403);
    assert.equal(unknown.text, "we do not know you");
    assert.equal(unknown.headers["www-authenticate"], "Bearer");
    assert.equal((await ask("/concierge")).status, 401);
    await sidecar.logged(({ plugin, msg }) => plugin === "concierge" && msg === "at the door: welcome,");
  },

  "interpreter, of C++, changes what goes over a TCP connection": async (scene) => {
    using _client = await saysHello(scene);
  },
};

/** What is left of a plugin that fails, and what its author reads about it. */
const failures: Readonly<Record<string, RegExp>> = {
  look: /trapped in proxy_on_request_headers: unreachable.*, in .*museum::Visitor::look\(unsigned long\) const/,
  touch: /trapped in proxy_on_request_headers: unreachable, in .*museum::Visitor::touch\(\) const/,
  wander: /used up its \d+ units of fuel in proxy_on_request_headers, in .*museum::Visitor::wander\(\) const/,
  collect: /trapped in proxy_on_request_headers: .*, in .*museum::Visitor::collect\(\)/,
};

test("plugins in C and C++", { timeout: buildAndRunMs }, async (context) => {
  const modules = await startedFor(context, cPlugins);
  if (modules !== undefined) await checkPlugins(context, { modules, ...cast }, { checks, failures });
});
