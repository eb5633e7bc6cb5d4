/** Components that harm whoever runs them: each is stopped alone, and the others are served all the while. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { Agent } from "node:http";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { packManifest } from "../../runtime/plugin/packed-manifest.ts";
import { eventually } from "../conformance/backend.ts";
import {
  type Act,
  aThousand,
  endlessStart,
  hostileActs,
  hostileScript,
  hostileService,
} from "../support/hostile-components.ts";
import { ask, askUntil } from "../support/http.ts";
import { startCommand } from "../support/outrigger-command.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const token = "open-sesame";
/** What the process may have grown by when all are done: most of it is what V8 did not hand back yet. */
const mostGrowthMiB = 400;

type Fault = "fuel" | "memory" | "trap" | "deadline";

/** What ends each of them, and what is said of it. */
const ends: Readonly<Partial<Record<Act, readonly [fault: Fault, words: RegExp]>>> = {
  loop: ["fuel", /used up its 100000000 units of fuel in handle/],
  grow: ["memory", /with its 16 MiB of memory full/],
  recursion: ["trap", /overflowed its stack in handle/],
  success: ["trap", /was stopped in handle: it exited;/],
  failure: ["trap", /was stopped in handle: it exited with a failure;/],
  insistence: ["trap", /was stopped in handle: it exited with a failure;/],
  handles: ["fuel", /used up its/],
  prints: ["fuel", /used up its/],
  waits: ["deadline", /took longer than its deadline of 1000 ms in handle/],
  lies: ["trap", /trapped in handle/],
  fields: ["memory", /was stopped in handle: it passed more at once than it has memory for/],
  nothings: ["memory", /was stopped in handle: it passed more at once than it has memory for/],
  copies: ["fuel", /used up its/],
  keys: ["fuel", /used up its/],
};

/** What ends the scripts: the engine in them may have its own word before. */
const scripts: readonly string[] = ["loop", "insistence", "heap", "hunger", "text", "recursion", "depths"];

/** What is not deployed at all. */
const refused: readonly string[] = ["start-loop", "start-grow", "modules", "instances", "imports"];

const large: ReadonlySet<string> = new Set<Act>(["much", "nothings", "copies", "keys"]);

const manifestOf = (name: string, memory: string, version = "1.0.0", fail = "closed"): string => `\
name: ${name}
version: ${version}
kind: service
fail: ${fail}
limits: { memory: ${memory}, budget: 100ms, deadline: 1s }
capabilities: { state: [orders] }
`;

describe("a component that harms", { timeout: 120_000 }, () => {
  const open = new AsyncDisposableStack();
  const failures: string[] = [];
  let directory = "";
  let sidecar: Sidecar;
  let beforeMiB = 0;
  let served = 0;

  before(async () => {
    directory = open.use(await temporaryDirectory()).path;
    const [service, script] = await Promise.all([hostileService(), hostileScript()]);
    const put = async (name: string, module: Uint8Array, memory: string, fail?: string): Promise<void> =>
      writeFile(
        join(directory, "plugins", `${name}.wasm`),
        packManifest(module, manifestOf(name, memory, "1.0.0", fail)),
      );
    for (const act of hostileActs) await put(act, service, large.has(act) ? "128Mi" : "16Mi");
    for (const act of scripts) await put(`script-${act}`, script, "16Mi");
    await put("neighbour", script, "16Mi");
    await put("relentless", service, "16Mi", "reload");
    const names = [...hostileActs, ...scripts.map((act) => `script-${act}`), "neighbour", "relentless"];
    const granted = [...names, ...refused];
    sidecar = open.use(
      await startSidecar(directory, {
        admin: { token },
        components: { state: { orders: { type: "memory" } } },
        plugins: {
          directory: "./plugins",
          grants: Object.fromEntries(granted.map((name) => [name, { state: ["orders"] }])),
        },
        ingress: { routes: names.map((plugin) => ({ match: { prefix: `/${plugin}/` }, to: { plugin } })) },
      }),
    );
    for (const name of names) assert.equal((await ask(sidecar.ingress, `/${name}/well`)).status, 200, name);
    beforeMiB = await residentMiB();
    open.use(startNeighbours());
  });
  after(() => open.disposeAsync());
  afterEach(() => {
    assert.deepEqual(failures, [], "nobody else feels it");
    assert.equal(sidecar.process.exitCode ?? sidecar.process.signalCode, null, "the process is alive");
  });

  /** Clients of another component, and of the sidecar itself, that never stop asking. */
  function startNeighbours(): AsyncDisposable {
    let isOver = false;
    const client = async (address: string, path: string): Promise<void> => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      while (!isOver) {
        const { status, text } = await ask(address, path, { agent }).catch(({ message }: Error) => ({
          status: 0,
          text: message,
        }));
        served++;
        if (status !== 200 && !isOver) failures.push(`${path}: ${status} ${text}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      agent.destroy();
    };
    const clients = [
      ...Array.from({ length: 3 }, () => client(sidecar.ingress, "/neighbour/well")),
      client(sidecar.admin, "/actuator/health/liveness"),
    ];
    return {
      async [Symbol.asyncDispose]() {
        isOver = true;
        await Promise.all(clients);
      },
    };
  }

  async function residentMiB(): Promise<number> {
    const status = await readFile(`/proc/${sidecar.process.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
  }

  const lost = (plugin: string): Promise<Readonly<Record<string, unknown>>> =>
    sidecar.logged((line) => line.plugin === plugin && line.msg.endsWith("; it is replaced"));

  const run = async (...parameters: string[]) => {
    const environment = { OUTRIGGER_ADMIN: sidecar.admin, OUTRIGGER_ADMIN_TOKEN: token };
    using command = startCommand(parameters, { directory, environment });
    return await command.ended;
  };

  for (const [act, [fault, words]] of Object.entries(ends)) {
    it(`is stopped, and replaced (${act})`, async () => {
      const before = served;
      assert.equal((await ask(sidecar.ingress, `/${act}/${act}`)).status, 503);
      assert.equal((await ask(sidecar.ingress, `/${act}/well`)).status, 200, "the next request meets another instance");
      const line = await lost(act);
      assert.match(String(line.msg), words);
      assert.equal(line.fault, fault);
      await eventually("the others are served meanwhile", () => served > before);
    });
  }

  for (const act of scripts) {
    it(`is stopped, and replaced, when it is a script (${act})`, async () => {
      assert.equal((await ask(sidecar.ingress, `/script-${act}/${act}`)).status, 503);
      assert.equal((await ask(sidecar.ingress, `/script-${act}/well`)).text, "well");
      await lost(`script-${act}`);
    });
  }

  it("may answer with as much as it has memory for", async () => {
    const { status, body } = await ask(sidecar.ingress, "/much/much");
    assert.deepEqual([status, body.length], [200, 100_000_000]);
  });

  for (const how of ["loop", "grow"] as const) {
    it(`is not deployed when its start does not end (${how})`, async () => {
      const name = `start-${how}`;
      const file = join(directory, `${name}.wasm`);
      await writeFile(file, packManifest(await endlessStart(how), manifestOf(name, "16Mi")));
      const { code, err } = await run("deploy", file);
      assert.notEqual(code, 0);
      assert.match(
        err,
        how === "loop"
          ? /units of fuel in its start|trapped in its start/
          : /with its 16 MiB of memory full|trapped in its start/,
      );
    });
  }

  for (const what of ["modules", "instances", "imports"] as const) {
    it(`is not deployed when it has a thousand ${what}`, async () => {
      const file = join(directory, `${what}.wasm`);
      await writeFile(file, packManifest(await aThousand(what), manifestOf(what, "16Mi")));
      const { code, err } = await run("deploy", file);
      assert.notEqual(code, 0);
      assert.match(err, what === "imports" ? /imports/ : /the limit is 64|core modules|core instances/);
    });
  }

  it("is told of by metrics and by the commands", async () => {
    const { text } = await ask(sidecar.admin, "/metrics");
    for (const [plugin, fault] of [
      ["loop", "fuel"],
      ["grow", "memory"],
      ["failure", "trap"],
      ["waits", "deadline"],
    ] as const)
      assert.ok(
        text.split("\n").includes(`outrigger_plugin_traps_total{plugin="${plugin}",fault="${fault}"} 1`),
        plugin,
      );
    assert.match(text, /^outrigger_plugin_reloads_total\{plugin="loop"\} 1$/m);
    assert.match(text, /^outrigger_plugin_reloads_total\{plugin="neighbour"\} 0$/m);
    const status = JSON.parse((await run("plugins", "loop", "--json")).out);
    assert.deepEqual([status.state, status.traps, status.reloads], ["serving", 1, 1]);
    assert.match((await run("plugins", "loop")).out, /^calls +\d+, 1 trapped$/m);
    assert.match((await run("logs", "prints")).out, / info +1\.0\.0 a line of output that nobody asked for$/m);
  });

  it("waits when it crashes again and again, is taken out in the end, and comes back with a deploy", async () => {
    const stateOf = async (): Promise<{ readonly state: string; readonly traps: number; readonly reason?: string }> =>
      JSON.parse((await ask(sidecar.admin, "/v1/plugins/relentless")).text);
    for (let request = 0; (await stateOf()).state !== "crashed"; request++) {
      assert.ok(request < 50, "its crash budget is exhausted");
      assert.equal((await ask(sidecar.ingress, "/relentless/failure")).status, 503);
    }
    const crashed = await stateOf();
    assert.match(crashed.reason ?? "", /it exited with a failure/);
    assert.match((await run("plugins")).out, /^relentless .* crashed /m);
    for (let request = 0; request < 5; request++)
      assert.equal((await ask(sidecar.ingress, "/relentless/well")).status, 503);
    assert.equal((await stateOf()).traps, crashed.traps, "nothing reaches it any more");
    const next = packManifest(await hostileService(), manifestOf("relentless", "16Mi", "1.0.1"));
    await writeFile(join(directory, "next.wasm"), next);
    const { code, err } = await run("deploy", "next.wasm", "--wait");
    assert.equal(code, 0, err);
    await askUntil(sidecar.ingress, "/relentless/well", ({ status }) => status === 200);
  });

  it("leaves the process as large as it was, give or take", async () => {
    const grownMiB = (await residentMiB()) - beforeMiB;
    assert.ok(grownMiB < mostGrowthMiB, `grew by ${Math.round(grownMiB)} MiB`);
  });
});
