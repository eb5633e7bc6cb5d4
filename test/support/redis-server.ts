import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { installedProgram } from "./programs.ts";
import { freePort, type ServerProcess, startServer } from "./server-process.ts";

const agreementPollMs = 50;

/** A Redis server of the test's own: on a free loopback port or a socket, and nothing on the disk unless it is asked for. */
export interface RedisServer extends ServerProcess {
  /** `host:port`. */
  readonly address: string;
  readonly port: number;
}

/** Starts `redis-server`; `parameters` are options of its command line. Rejects with ProgramMissing when there is none. */
export async function startRedis(...parameters: readonly string[]): Promise<RedisServer> {
  const port = await freePort();
  const always = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
  return launch(port, (directory) => [...always, "--dir", directory, ...parameters]);
}

/** Starts a server that has on the disk whatever it acknowledged. */
export const startDurableRedis = (...parameters: readonly string[]): Promise<RedisServer> =>
  startRedis("--appendonly", "yes", "--appendfsync", "always", ...parameters);

/** A Redis Cluster of three primaries. What is done to it is done to all of them. */
export interface RedisCluster extends ServerProcess {
  /** `host:port` of each. */
  readonly addresses: readonly string[];
  readonly nodes: readonly RedisServer[];
}

const slots = 16_384;

/** Starts three servers, gives each a third of the slots and waits until they agree. What they acknowledge is on the disk. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const bus = [await freePort(), await freePort(), await freePort()];
  const nodes = await Promise.all(
    bus.map((port) => startDurableRedis("--cluster-enabled", "yes", "--cluster-port", String(port))),
  );
  const [first] = nodes;
  if (first === undefined) throw new Error("a cluster has nodes");
  for (const [index, node] of nodes.entries()) {
    const [from, to] = [index, index + 1].map((part) => Math.ceil((part * slots) / nodes.length));
    await redisCli(node, "CLUSTER", "ADDSLOTSRANGE", String(from), String((to ?? slots) - 1));
    if (node !== first) await redisCli(first, "CLUSTER", "MEET", "127.0.0.1", String(node.port), String(bus[index]));
  }
  const agree = async (): Promise<void> => {
    const isWhole = async (node: RedisServer): Promise<boolean> => {
      const info = await redisCli(node, "CLUSTER", "INFO");
      return info.includes("cluster_state:ok") && info.includes(`cluster_known_nodes:${nodes.length}`);
    };
    while (!(await Promise.all(nodes.map(isWhole))).every((whole) => whole)) await delay(agreementPollMs);
  };
  await agree();
  return {
    addresses: nodes.map(({ address }) => address),
    nodes,
    directory: first.directory,
    get process() {
      return first.process;
    },
    kill: async () => {
      await Promise.all(nodes.map((node) => node.kill()));
    },
    start: async () => {
      await Promise.all(nodes.map((node) => node.start()));
      await agree();
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
    },
  };
}

/** Starts a sentinel that watches the server under the name, and agrees with itself that it is down. */
export async function startSentinel(name: string, watched: RedisServer): Promise<RedisServer> {
  const port = await freePort();
  return launch(port, async (directory) => {
    const file = join(directory, "sentinel.conf");
    const lines = [
      `port ${port}`,
      "bind 127.0.0.1",
      `dir ${directory}`,
      `sentinel monitor ${name} 127.0.0.1 ${watched.port} 1`,
    ];
    await writeFile(file, `${lines.join("\n")}\nsentinel down-after-milliseconds ${name} 200\n`);
    return [file, "--sentinel"];
  });
}

/** Starts a server that has on the disk whatever it acknowledged, and a sentinel that tells where it is. */
export async function startWatchedRedis(name: string): Promise<RedisServer & { readonly sentinel: RedisServer }> {
  const server = await startDurableRedis();
  const sentinel = await startSentinel(name, server);
  const dispose = server[Symbol.asyncDispose];
  return Object.assign(server, {
    sentinel,
    [Symbol.asyncDispose]: async () => {
      await sentinel[Symbol.asyncDispose]();
      await dispose();
    },
  });
}

async function launch(
  port: number,
  parameters: (directory: string) => readonly string[] | Promise<readonly string[]>,
): Promise<RedisServer> {
  const server = await startServer({
    program: await installedProgram("redis-server", "redis-server"),
    parameters,
    isReady: (written) => /Ready to accept connections|\+monitor master/.test(written),
  });
  return Object.assign(server, { address: `127.0.0.1:${port}`, port });
}

/** What a command of `redis-cli` prints, against the server. */
export async function redisCli(server: RedisServer, ...command: readonly string[]): Promise<string> {
  const program = await installedProgram("redis-cli", "redis-tools");
  const child = spawn(program, ["-p", String(server.port), "--raw", ...command], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let written = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    written += text;
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`redis-cli ${command.join(" ")} ended with ${code}: ${written}`);
  return written.replace(/\n$/, "");
}
