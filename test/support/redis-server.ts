import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** A Redis server of the test's own: on a free loopback port or a socket, nothing on the disk. Disposing stops it. */
export interface RedisServer extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
  readonly port: number;
  /** A directory of the server's own. */
  readonly directory: string;
  readonly process: ChildProcess;
}

/**
 * Starts `redis-server`, from its Debian package if there is none yet; `parameters` are options of its command line.
 * Rejects with a sentence when there is none to be had, and with what it wrote when it does not start.
 */
export async function startRedis(...parameters: readonly string[]): Promise<RedisServer> {
  const port = await freePort();
  const always = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
  return launch(port, (directory) => [...always, "--dir", directory, ...parameters]);
}

/** Starts a sentinel that watches the server under the name, and agrees with itself that it is down. */
export async function startSentinel(name: string, watched: RedisServer): Promise<RedisServer> {
  const port = await freePort();
  return launch(port, (directory) => {
    const file = join(directory, "sentinel.conf");
    const lines = [
      `port ${port}`,
      "bind 127.0.0.1",
      `dir ${directory}`,
      `sentinel monitor ${name} 127.0.0.1 ${watched.port} 1`,
    ];
    writeFileSync(file, `${lines.join("\n")}\nsentinel down-after-milliseconds ${name} 200\n`);
    return [file, "--sentinel"];
  });
}

async function launch(port: number, parametersIn: (directory: string) => readonly string[]): Promise<RedisServer> {
  const program = await redisProgram("redis-server");
  const directory = await mkdtemp(join(tmpdir(), "outrigger-redis-"));
  const child = spawn(program, [...parametersIn(directory)], { stdio: ["ignore", "pipe", "pipe"] });
  let written = "";
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
    await rm(directory, { recursive: true, force: true });
  };
  const listens = new Promise<boolean>((resolve) => {
    for (const output of [child.stdout, child.stderr]) {
      output.setEncoding("utf8").on("data", (text: string) => {
        written += text;
        if (/Ready to accept connections|\+monitor master/.test(written)) resolve(true);
      });
    }
    void ended.then(() => resolve(false));
  });
  if (!(await listens)) {
    await stop();
    throw new Error(`redis-server ended before it listened:\n${written}`);
  }
  return { address: `127.0.0.1:${port}`, port, directory, process: child, [Symbol.asyncDispose]: stop };
}

/** What a command of `redis-cli` prints, against the server. */
export async function redisCli(server: RedisServer, ...command: readonly string[]): Promise<string> {
  const program = await redisProgram("redis-cli");
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

/** A port that nothing listens on, for a server that cannot choose one itself. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("a TCP server has no port");
  return address.port;
}

const found = (program: string): string | undefined =>
  [...(process.env.PATH ?? "").split(delimiter), "/usr/bin", "/usr/local/bin"]
    .map((directory) => join(directory, program))
    .find((path) => existsSync(path));

async function redisProgram(program: string): Promise<string> {
  const known = found(program);
  if (known !== undefined) return known;
  // Another test may be at it: apt waits for the lock.
  const install = ["install", "-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120", "redis-server"];
  if (!(await apt(install))) {
    await apt(["update", "-qq"]);
    await apt(install);
  }
  const installed = found(program);
  if (installed !== undefined) return installed;
  throw new Error(
    `${program} is missing and Debian's package redis-server could not be installed; install it and run again`,
  );
}

/** No service starts by itself: the tests start their own. */
function apt(parameters: readonly string[]): Promise<boolean> {
  const [program = "apt-get", ...rest] =
    process.getuid?.() === 0 ? ["apt-get", ...parameters] : ["sudo", "-n", "apt-get", ...parameters];
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const child = spawn(program, rest, { stdio: "ignore", env });
  return new Promise((resolve) => {
    child.once("error", () => resolve(false));
    child.once("close", (code) => resolve(code === 0));
  });
}
