/** Processes on a core of their own, and what the operating system says that they used. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";

/** What is measured has the first core; whatever drives it or answers it has the second. */
export const cores = { measured: 0, driver: 1 } as const;

export interface PinnedOptions {
  /** One, or several as `taskset -c` takes them. */
  readonly core: number | string;
  readonly command: string;
  readonly parameters: readonly string[];
  /** A line of standard output or standard error that says that the process serves; without it, it is ready at once. */
  readonly ready?: RegExp;
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory?: string;
  /** Hears each line of standard output and standard error. */
  readonly onLine?: (line: string) => void;
  /** A file that takes standard error, so that no reader of a log takes time from the driver's core. */
  readonly logFile?: string;
}

/** A process while it runs. Disposing ends it. */
export interface PinnedProcess extends AsyncDisposable {
  readonly pid: number;
  /** What matched `ready`; `[1]` is its first group. */
  readonly announced: RegExpExecArray;
  /** User and system time of all its threads so far. */
  cpuSeconds(): number;
  /** Resident memory in bytes. */
  residentBytes(): number;
  hasEnded(): boolean;
  /** Sends the signal and resolves once it has ended. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

const nothing = /^/;
const mostKept = 16_384;
/** Descriptors for the servers that hold ten thousand connections. */
const descriptors = 16_384;

/** Starts a process and resolves once it is ready; rejects with what it wrote when it ends before that. */
export async function startPinned(options: PinnedOptions): Promise<PinnedProcess> {
  const child = spawnOn(options);
  if (options.ready === undefined) for (const stream of [child.stdout, child.stderr]) stream?.resume();
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const announced = options.ready === undefined ? nothing.exec("") : await announcement(child, options.ready, options);
  const { pid } = child;
  if (pid === undefined || announced === null) throw new Error(`${options.command} cannot be started`);
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const stop = (signal: NodeJS.Signals = "SIGKILL"): Promise<void> => {
    if (!hasEnded()) child.kill(signal);
    return ended;
  };
  return {
    pid,
    announced,
    cpuSeconds: () => cpuSecondsOf(pid),
    residentBytes: () => residentBytesOf(pid),
    hasEnded,
    stop,
    [Symbol.asyncDispose]: () => stop(),
  };
}

function spawnOn({ core, command, parameters, environment, directory, logFile }: PinnedOptions): ChildProcess {
  const log = logFile === undefined ? undefined : openSync(logFile, "a");
  // Both replace themselves by the command, so that the child's id is the command's. The shell takes what is allowed when
  // the operating system allows fewer descriptors.
  const pinned = 'ulimit -n "$1" 2>/dev/null; core=$2; shift 2; exec taskset -c "$core" "$@"';
  const child = spawn("sh", ["-c", pinned, "sh", String(descriptors), String(core), command, ...parameters], {
    stdio: ["ignore", "pipe", log ?? "pipe"],
    env: { ...process.env, ...environment },
    ...(directory === undefined ? {} : { cwd: directory }),
  });
  if (log !== undefined) closeSync(log);
  return child;
}

/** Keeps this process away from the core that is measured. */
export function pinDriver(): void {
  spawnSync("taskset", ["-a", "-c", "-p", String(cores.driver), String(process.pid)], { stdio: "ignore" });
}

function announcement(
  child: ChildProcess,
  ready: RegExp,
  { command, logFile, onLine }: PinnedOptions,
): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let written = "";
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on("line", (line) => {
        onLine?.(line);
        if (written.length < mostKept) written += `${line}\n`;
        const match = ready.exec(line);
        if (match !== null) resolve(match);
      });
    }
    child.once("error", reject);
    child.once("close", (code, signal) => {
      const logged = logFile === undefined ? "" : readFileSync(logFile, "utf8").slice(-mostKept);
      reject(new Error(`${command} ended (${code ?? signal}) before it served:\n${written}${logged}`));
    });
  });
}

/** User and system time of all threads of a process, to the nanosecond. */
function cpuSecondsOf(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number.parseInt(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8"), 10);
  }
  return nanoseconds / 1e9;
}

function residentBytesOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kilobytes === undefined) throw new Error(`process ${pid} has no memory any more`);
  return Number(kilobytes) * 1024;
}
