/** The processes of test files while they run: one that does not end is told of, and is ended with all that it started. */
import { type ChildProcess, spawnSync } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { run } from "node:test";
import { setTimeout as delay } from "node:timers/promises";

/** How long a file may go on whose tests are over, and how long one may run at all. */
interface Patience {
  readonly settleMs: number;
  readonly longestMs: number;
}

interface File {
  /** Tests of the file, not of a suite in it, that were found and have not ended. */
  open: number;
  settling: NodeJS.Timeout | undefined;
  readonly longest: NodeJS.Timeout;
}

const channel = "child_process";
/** A process that is asked what it has open writes that within this time, or not at all. */
const reportMs = 10_000;

export class TestProcesses implements Disposable {
  readonly #folder: string;
  readonly #patience: Patience;
  readonly #processes = new Set<ChildProcess>();
  readonly #files = new Map<string, File>();
  readonly #spawned = (message: unknown): void => {
    const { process: child } = message as { readonly process: ChildProcess };
    this.#processes.add(child);
    child.once("exit", () => this.#processes.delete(child));
  };

  /** In `folder` they write what they have open. */
  constructor(folder: string, patience: Patience = { settleMs: 60_000, longestMs: 1_800_000 }) {
    this.#folder = folder;
    this.#patience = patience;
    subscribe(channel, this.#spawned);
  }

  /** What Node is to be started with for a file. */
  get execArgv(): string[] {
    return [
      "--report-on-signal",
      "--report-signal=SIGUSR2",
      "--report-exclude-env",
      "--report-exclude-network",
      `--report-directory=${this.#folder}`,
    ];
  }

  follow(tests: ReturnType<typeof run>): void {
    tests.on("test:enqueue", ({ name, nesting, file }) => {
      if (file === undefined || nesting > 0) return;
      if (resolve(name) === file) this.#begin(file);
      else this.#count(file, 1);
    });
    tests.on("test:complete", ({ name, nesting, file }) => {
      if (file === undefined || nesting > 0) return;
      if (resolve(name) === file) this.#end(file);
      else this.#count(file, -1);
    });
  }

  [Symbol.dispose](): void {
    unsubscribe(channel, this.#spawned);
    for (const file of this.#files.keys()) this.#end(file);
  }

  #begin(file: string): void {
    const { longestMs } = this.#patience;
    const longest = setTimeout(() => void this.#stop(file, `it has run for ${longestMs / 1_000} s`), longestMs);
    this.#files.set(file, { open: 0, settling: undefined, longest });
  }

  #end(file: string): void {
    clearTimeout(this.#files.get(file)?.longest);
    clearTimeout(this.#files.get(file)?.settling);
    this.#files.delete(file);
  }

  #count(file: string, change: number): void {
    const known = this.#files.get(file);
    if (known === undefined) return;
    known.open += change;
    clearTimeout(known.settling);
    if (known.open > 0) return;
    const { settleMs } = this.#patience;
    known.settling = setTimeout(() => void this.#stop(file, `its tests are over for ${settleMs / 1_000} s`), settleMs);
  }

  async #stop(file: string, why: string): Promise<void> {
    const child = [...this.#processes].find(({ spawnargs }) => resolve(spawnargs.at(-1) ?? "") === file);
    if (child?.pid === undefined) return;
    const open = await this.#openIn(child);
    process.stderr.write(`\n${file} is ended, which fails it: ${why}, and it still has open:\n${open}\n`);
    endDescendants(child.pid);
    child.kill("SIGKILL");
  }

  /** What keeps the process from ending, one a line. */
  async #openIn(child: ChildProcess): Promise<string> {
    const { pid } = child;
    if (!child.kill("SIGUSR2")) return "";
    for (let passed = 0; passed < reportMs; passed += 100) {
      await delay(100);
      for (const name of readdirSync(this.#folder)) {
        if (!name.includes(`.${pid}.`)) continue;
        const handles = handlesOf(readFileSync(join(this.#folder, name), "utf8"));
        if (handles !== undefined) return handles;
      }
    }
    return "  (it did not say)";
  }
}

interface Handle {
  readonly type: string;
  readonly is_active: boolean;
  readonly is_referenced: boolean;
  readonly pid?: number;
  readonly localEndpoint?: Endpoint | null;
  readonly remoteEndpoint?: Endpoint | null;
}

interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Undefined while the report is being written. */
function handlesOf(report: string): string | undefined {
  try {
    const { libuv } = JSON.parse(report) as { readonly libuv: readonly Handle[] };
    return libuv
      .filter(({ is_active, is_referenced }) => is_active && is_referenced)
      .map(told)
      .join("\n");
  } catch {
    return undefined;
  }
}

function told({ type, pid, localEndpoint, remoteEndpoint }: Handle): string {
  const at = localEndpoint ? ` at ${localEndpoint.host}:${localEndpoint.port}` : "";
  const to = remoteEndpoint ? ` to ${remoteEndpoint.host}:${remoteEndpoint.port}` : "";
  return `  ${type}${pid === undefined ? "" : ` ${pid}: ${commandOf(pid)}`}${at}${to}`;
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "it is not told what runs there";
  }
}

/** Ends all processes that this one started, and those that they started. */
export function endDescendants(pid: number): void {
  for (const descendant of descendantsOf(pid)) {
    try {
      process.kill(descendant, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }
}

/** By /proc, or what `ps` tells where there is none. */
function descendantsOf(pid: number): number[] {
  const parents = existsSync("/proc/self/stat") ? parentsOfProc() : parentsOfPs();
  const found = [pid];
  for (const ancestor of found) for (const [child, parent] of parents) if (parent === ancestor) found.push(child);
  return found.slice(1);
}

function parentsOfProc(): Map<number, number> {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 4).split(" ")[0]));
    } catch {
      // It has ended meanwhile.
    }
  }
  return parents;
}

function parentsOfPs(): Map<number, number> {
  const lines = spawnSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).stdout.trim().split("\n");
  return new Map(lines.map((line) => line.trim().split(/\s+/).map(Number) as [number, number]));
}
