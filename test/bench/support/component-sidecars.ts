/** Sidecars into which components are deployed: what answers, and what they tell of themselves. */
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { type ServedSidecar, startBenchSidecar } from "./contenders.ts";
import { uploadModule } from "./deploy-calls.ts";
import { cores } from "./pinned-process.ts";
import { nowMs } from "./steady-load.ts";
import { type Watched, watchVariable } from "./watched-process.ts";

export interface ServiceOptions {
  /** The built sidecar. */
  readonly entry: string;
  readonly name: string;
  /** Its file; without one nothing is deployed yet. */
  readonly file?: string;
  readonly core?: number | string;
  /** Where an earlier sidecar kept what it transpiled. */
  readonly kept?: string;
}

export interface WatchedSidecar extends ServedSidecar {
  /** What the process tells since the last time that it was asked. */
  told(): Promise<Watched>;
  /** Uploads the component; resolves to the milliseconds until its first answer. */
  deploy(component: Uint8Array): Promise<number>;
}

const token = "bench";
const warmUpRequests = 3_000;
const watcher = fileURLToPath(new URL("watched-process.ts", import.meta.url));

/** A sidecar that has one service behind every path. */
export async function startServiceSidecar(options: ServiceOptions): Promise<WatchedSidecar> {
  const { entry, name, file, core = cores.measured, kept } = options;
  const capabilities = { state: ["inventory"] };
  let place = "";
  const sidecar = await startBenchSidecar({
    entry,
    core,
    nodeOptions: ["--expose-gc", `--import=${watcher}`],
    configuration: {
      admin: { token },
      log: { level: "warn" },
      components: { state: { inventory: { type: "memory" } } },
      plugins: { grants: { [name]: capabilities } },
      ingress: { routes: [{ match: { prefix: "/" }, to: { plugin: name } }] },
    },
    prepare: async (directory) => {
      place = directory;
      process.env[watchVariable] = join(directory, "watched.json");
      if (kept !== undefined) cpSync(kept, keptIn(directory), { recursive: true });
      if (file === undefined) return;
      const manifest = { name, version: "1.0.0", kind: "service", capabilities };
      writeFileSync(join(directory, "plugins", `${name}.yaml`), stringify(manifest));
      writeFileSync(join(directory, "plugins", `${name}.wasm`), readFileSync(file));
    },
  });
  const watched = join(place, "watched.json");
  let asked = 0;
  if (file === undefined) await warmUp(sidecar);
  else await answered(sidecar.ingress);
  return {
    ...sidecar,
    async told() {
      asked++;
      process.kill(sidecar.pid, "SIGUSR2");
      for (;;) {
        if (existsSync(watched)) {
          const said: Watched = JSON.parse(readFileSync(watched, "utf8"));
          if (said.told === asked) return said;
        }
        await setTimeout(5);
      }
    },
    async deploy(component) {
      const fromMs = nowMs();
      const [servedAt] = await Promise.all([answered(sidecar.ingress), uploadModule(sidecar.admin, token, component)]);
      return servedAt - fromMs;
    },
  };
}

/** Where a sidecar keeps what it transpiled. */
export const keptIn = (directory: string): string => join(directory, "components");

const patienceMs = 60_000;

/** What a first request of any kind takes is no part of a deploy. */
async function warmUp({ ingress, admin }: ServedSidecar): Promise<void> {
  using agent = openAgent();
  for (let request = 0; request < warmUpRequests; request++) await statusOf(`http://${ingress}/hello`, agent);
  for (let request = 0; request < 20; request++) await statusOf(`http://${admin}/v1/plugins`, agent);
}

/** Asks until there is a good answer; resolves to when it came. */
async function answered(ingress: string): Promise<number> {
  const giveUp = nowMs() + patienceMs;
  using agent = openAgent();
  while ((await statusOf(`http://${ingress}/hello`, agent)) !== 200) {
    if (nowMs() > giveUp) throw new Error(`the service does not answer within ${patienceMs / 1000} s`);
    await setTimeout(5);
  }
  return nowMs();
}

function openAgent(): http.Agent & Disposable {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  return Object.assign(agent, { [Symbol.dispose]: () => agent.destroy() });
}

function statusOf(url: string, agent: http.Agent): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    http
      .get(url, { agent, headers: { authorization: `Bearer ${token}` } }, (response) => {
        response.resume();
        response.once("end", () => resolve(response.statusCode));
      })
      .once("error", reject);
  });
}
