import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The sidecar as its users run it: a process of its own, on free loopback ports, below a temporary directory. */
export interface Sidecar extends AsyncDisposable {
  /** `host:port` of each listener. */
  readonly ingress: string;
  readonly grpc: string;
  readonly admin: string;
  /** Of the first listener for TCP connections. Throws when there is none. */
  readonly tcp: string;
  readonly directory: string;
  readonly process: ChildProcess;
  /** Log lines so far, parsed. */
  readonly log: readonly LogLine[];
  /** Resolves to the first log line, past or future, that the predicate likes. */
  logged(predicate: (line: LogLine) => boolean): Promise<LogLine>;
  /** Sends the signal and resolves to how the process ended. */
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string };

/** A temporary directory with an empty `plugins` folder in it. */
export async function temporaryDirectory(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "outrigger-test-"));
  await mkdir(join(path, "plugins"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A configuration with every listener on a free port; `changes` is laid over it. */
export const onFreePorts = (changes: Record<string, unknown>): Record<string, unknown> => ({
  api: { grpc: ["127.0.0.1:0"] },
  ...changes,
  admin: { http: "127.0.0.1:0", ...(changes["admin"] as object | undefined) },
  ingress: { http: "127.0.0.1:0", ...(changes["ingress"] as object | undefined) },
});

/**
 * Starts `outrigger start` with the configuration, written to outrigger.yaml in `directory`, and resolves once it serves.
 * Rejects with all that the process wrote when it ends before that. `main` is what Node runs: by default the sources.
 */
export async function startSidecar(
  directory: string,
  configuration: Record<string, unknown>,
  environment: Record<string, string> = {},
  main = join(root, "runtime/main.ts"),
): Promise<Sidecar> {
  const file = join(directory, "outrigger.yaml");
  await writeFile(file, stringify(onFreePorts(configuration)));
  const child = spawn(process.execPath, [main, "start", "--config", file], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...environment },
  });
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
    child.once("exit", (code, signal) => resolve({ code, signal })),
  );
  const log: LogLine[] = [];
  const waiting = new Set<(line: LogLine) => void>();
  let written = "";
  lines(child.stderr, (text) => {
    written += `${text}\n`;
    if (!text.startsWith("{")) return;
    const line = JSON.parse(text) as LogLine;
    log.push(line);
    for (const wake of waiting) wake(line);
  });
  const banner = await new Promise<string>((resolve, reject) => {
    lines(child.stdout, resolve);
    ended.then(
      ({ code, signal }) => reject(new Error(`the sidecar ended (${code ?? signal}) before it served:\n${written}`)),
      reject,
    );
  });
  const address = (name: string): string => {
    const found = new RegExp(`${name} (?:http://)?([^\\s,]+)`).exec(banner)?.[1];
    if (found === undefined) throw new Error(`no ${name} in '${banner}'`);
    return found;
  };
  const stop: Sidecar["stop"] = (signal = "SIGTERM") => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    return ended;
  };
  return {
    ingress: address("ingress"),
    grpc: address("gRPC"),
    admin: address("admin"),
    get tcp() {
      return address("TCP");
    },
    directory,
    process: child,
    log,
    logged: (predicate) => {
      const past = log.find(predicate);
      if (past !== undefined) return Promise.resolve(past);
      return new Promise((resolve) => {
        const wake = (line: LogLine): void => {
          if (!predicate(line)) return;
          waiting.delete(wake);
          resolve(line);
        };
        waiting.add(wake);
      });
    },
    stop,
    [Symbol.asyncDispose]: async () => void (await stop("SIGKILL")),
  };
}

function lines(stream: NodeJS.ReadableStream, each: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) each(part);
  });
}
