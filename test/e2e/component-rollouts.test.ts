/** The components of wasm-plugins/, one version after the other, while clients ask without a pause. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { Agent } from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse, stringify } from "yaml";
import { packManifest } from "../../runtime/plugin/packed-manifest.ts";
import { eventually } from "../conformance/backend.ts";
import { coreComponent } from "../support/core-component.ts";
import { type BuiltPlugin, build, demoConfiguration, deploy } from "../support/demo.ts";
import { ask, askUntil } from "../support/http.ts";
import { startCommand } from "../support/outrigger-command.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const token = "open-sesame";
const headers = { authorization: `Bearer ${token}` };
/** `hello-http` is built from scratch where nobody built it before. */
const buildMs = 300_000;
const plugins = ["pricing", "hello-http", "quotes"] as const;
type Plugin = (typeof plugins)[number];
const paths: Readonly<Record<Plugin, string>> = {
  pricing: "/pricing/apple",
  "hello-http": "/hello?name=you",
  quotes: "/quotes",
};

/** Answers with 200; of so many requests to an instance, one with 500. */
const quotes = (every: number): Promise<Uint8Array<ArrayBuffer>> =>
  coreComponent(
    "quotes",
    `(module
      (memory (export "memory") 1)
      (global $requests (mut i32) (i32.const 0))
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
      (func (export "outrigger:runtime/handler@0.1.0#handle") (param ${"i32 ".repeat(12)}) (result i32)
        (global.set $requests (i32.add (global.get $requests) (i32.const 1)))
        (i32.store16 (i32.const 16) (if (result i32) (i32.rem_u (global.get $requests) (i32.const ${every}))
          (then (i32.const 200)) (else (i32.const 500))))
        (i32.const 16)))`,
    "export outrigger:runtime/handler@0.1.0;",
  );
const never = 0x7fffffff;

/** Clients that ask again as soon as they are answered, and have taken a breath, over connections that stay. */
function startClients({ ingress }: Sidecar, path: string) {
  const failures: string[] = [];
  let answered = 0;
  let isOver = false;
  const client = async (): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!isOver) {
      const { status, text } = await ask(ingress, path, { agent }).catch((error: Error) => ({
        status: 0,
        text: error.message,
      }));
      answered++;
      if (status !== 200) failures.push(`${status} ${text}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    agent.destroy();
  };
  const all = Array.from({ length: 4 }, client);
  return {
    failures,
    answered: () => answered,
    async stop(): Promise<readonly string[]> {
      isOver = true;
      await Promise.all(all);
      return failures;
    },
  };
}

describe("components under load", { timeout: buildMs }, () => {
  const open = new AsyncDisposableStack();
  const built = new Map<string, BuiltPlugin>();
  let directory = "";
  let configuration: Record<string, unknown> = {};
  let sidecar: Sidecar;

  before(
    async () => {
      directory = open.use(await temporaryDirectory()).path;
      for (const [plugin, version] of [
        ["pricing", "1.0.0"],
        ["pricing", "2.0.0"],
        ["hello-http", "1.0.0"],
      ] as const)
        built.set(`${plugin} ${version}`, await build(plugin, version));
      const good = await quotes(never);
      built.set("quotes 1.0.0", { module: good, manifest: "name: quotes\nversion: 1.0.0\nkind: service\n" });
      const { plugins: settings, ...demo } = await demoConfiguration();
      const { grants, ...others } = Object(settings);
      configuration = {
        ...demo,
        admin: { token },
        plugins: { ...others, grants: { ...grants, "hello-http": { upstreams: ["people"] } } },
        upstreams: { people: { endpoints: ["127.0.0.1:9"] } },
        ingress: {
          routes: [
            { match: { prefix: "/pricing" }, to: { plugin: "pricing" } },
            { match: { prefix: "/hello" }, to: { plugin: "hello-http" } },
            { match: { prefix: "/quotes" }, to: { plugin: "quotes" } },
          ],
        },
      };
      for (const plugin of plugins) await deploy(directory, plugin, of(plugin, "1.0.0"));
      sidecar = open.use(await startSidecar(directory, configuration));
      await askUntil(sidecar.ingress, "/pricing/apple", ({ status }) => status === 200, {
        method: "PUT",
        body: '{"amount":250}',
      });
      for (const plugin of plugins) await askUntil(sidecar.ingress, paths[plugin], ({ status }) => status === 200);
    },
    { timeout: buildMs },
  );
  after(() => open.disposeAsync());

  /** What was built as one version, to be deployed as another. */
  function of(
    plugin: Plugin,
    version: string,
    as = version,
    more: Readonly<Record<string, unknown>> = {},
  ): BuiltPlugin {
    const { module, manifest } = built.get(`${plugin} ${version}`) ?? assert.fail(`${plugin} ${version}`);
    return { module, manifest: stringify({ ...parse(manifest), version: as, ...more }) };
  }

  const command = async (...parameters: string[]) => {
    const environment = { OUTRIGGER_ADMIN: sidecar.admin, OUTRIGGER_ADMIN_TOKEN: token };
    using running = startCommand(parameters, { directory, environment });
    return await running.ended;
  };

  /** By `outrigger deploy FILE --wait`, with the manifest inside of the file. */
  async function push({
    module,
    manifest,
  }: BuiltPlugin): Promise<{ readonly code: number | null; readonly err: string }> {
    await writeFile(join(directory, "pushed.wasm"), packManifest(module, manifest));
    return command("deploy", "pushed.wasm", "--wait");
  }

  async function statusOf(plugin: Plugin) {
    const { version, lastTrial, state } = JSON.parse((await ask(sidecar.admin, `/v1/plugins/${plugin}`)).text);
    return { version, lastTrial, state };
  }

  const serves = (plugin: Plugin, version: string): Promise<void> =>
    eventually(`${plugin} ${version} serves`, async () => (await statusOf(plugin)).version === version);

  /** The version that the component itself tells, of those that were built. */
  const told = (version: string): Promise<unknown> =>
    askUntil(sidecar.ingress, paths.pricing, (answer) => answer.headers["x-pricing-version"] === version);

  async function rollback(plugin: Plugin): Promise<void> {
    const { status, text } = await ask(sidecar.admin, `/v1/plugins/${plugin}/rollback`, { method: "POST", headers });
    assert.equal(status, 200, text);
  }

  /** What happens while clients ask; no answer of them all is bad. */
  async function underLoad(plugin: Plugin, happens: (answers: () => Promise<void>) => Promise<void>): Promise<void> {
    const clients = startClients(sidecar, paths[plugin]);
    const answers = (): Promise<void> => {
      const before = clients.answered();
      return eventually("clients are answered", () => clients.answered() >= before + 10);
    };
    await answers();
    try {
      await happens(answers);
      await answers();
    } finally {
      await clients.stop();
    }
    assert.deepEqual(clients.failures, []);
  }

  it("are replaced and taken back without a failed request (pricing)", async () => {
    await underLoad("pricing", async (answers) => {
      for (const round of [1, 2]) {
        await deploy(directory, "pricing", of("pricing", "2.0.0", `2.${round}.0`));
        await told("2.0.0");
        await serves("pricing", `2.${round}.0`);
        await answers();
        const { code, err } = await push(of("pricing", "1.0.0", `1.${round}.0`));
        assert.equal(code, 0, err);
        await told("1.0.0");
        await answers();
        await rollback("pricing");
        await told("2.0.0");
        await serves("pricing", `2.${round}.0`);
        await answers();
      }
    });
  });

  it("are replaced and taken back without a failed request (hello-http)", async () => {
    await underLoad("hello-http", async (answers) => {
      await deploy(directory, "hello-http", of("hello-http", "1.0.0", "2.0.0"));
      await serves("hello-http", "2.0.0");
      await answers();
      const { code, err } = await push(of("hello-http", "1.0.0", "3.0.0"));
      assert.equal(code, 0, err);
      await serves("hello-http", "3.0.0");
      await answers();
      await rollback("hello-http");
      await serves("hello-http", "2.0.0");
    });
  });

  it("are tried on a part of the requests: the one that fails 5 % is taken back, a good one becomes stable", async () => {
    const rollout = { canary: { percent: 50 }, window: "300ms", latency: 1_000_000 };
    const clients = startClients(sidecar, paths.quotes);
    built.set("quotes 2.0.0", { module: await quotes(20), manifest: "name: quotes\nkind: service\n" });
    const bad = await push(of("quotes", "2.0.0", "2.0.0", { rollout }));
    assert.notEqual(bad.code, 0);
    assert.match(bad.err, /quotes 2\.0\.0 is not stable: .* % of its/);
    const { version, lastTrial } = await statusOf("quotes");
    assert.deepEqual([version, lastTrial.outcome, lastTrial.by], ["1.0.0", "rolled back", "rollout"]);
    const good = await push(of("quotes", "1.0.0", "3.0.0", { rollout }));
    assert.equal(good.code, 0, good.err);
    const promoted = await statusOf("quotes");
    assert.deepEqual([promoted.version, promoted.lastTrial.outcome], ["3.0.0", "promoted"]);
    const failed = (await clients.stop()).length;
    assert.ok(failed > 0 && failed < clients.answered() / 20, `${failed} of ${clients.answered()}`);
  });

  it("are what they were after kill -9", async () => {
    const before = await Promise.all(plugins.map((plugin) => statusOf(plugin)));
    await sidecar.stop("SIGKILL");
    sidecar = open.use(await startSidecar(directory, configuration));
    for (const plugin of plugins) await askUntil(sidecar.ingress, paths[plugin], ({ status }) => status === 200);
    const after = await Promise.all(plugins.map((plugin) => statusOf(plugin)));
    assert.deepEqual(
      after.map(({ version, state }) => [version, state]),
      before.map(({ version, state }) => [version, state]),
    );
    await told("2.0.0");
  });
});
