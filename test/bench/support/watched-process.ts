/**
 * Loaded into a process that is measured (`--import`): a clock that ticks each millisecond, and a file in which the process tells,
 * whenever it gets SIGUSR2, for how long the clock stood at most since the last time.
 */
import { renameSync, writeFileSync } from "node:fs";

/** What the process tells. */
export interface Watched {
  /** How often it told something, this time included. */
  readonly told: number;
  /** The longest time between two ticks, and how much of it the thread itself worked. */
  readonly longestMs: number;
  readonly longestCpuMs: number;
  /** What a full collection left, where the process may collect. */
  readonly heapBytes: number;
}

/** Names the file. */
export const watchVariable = "OUTRIGGER_BENCH_WATCH";

const tickMs = 1;
const file = process.env[watchVariable];

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function watch(file: string): void {
  let told = 0;
  let [longestMs, longestCpuMs] = [0, 0];
  let [last, lastCpu] = [performance.now(), cpuMs()];
  const tick = (): void => {
    const [now, nowCpu] = [performance.now(), cpuMs()];
    longestMs = Math.max(longestMs, now - last);
    longestCpuMs = Math.max(longestCpuMs, nowCpu - lastCpu);
    [last, lastCpu] = [now, nowCpu];
  };
  setInterval(tick, tickMs).unref();
  process.on("SIGUSR2", () => {
    tick();
    globalThis.gc?.();
    const said: Watched = { told: ++told, longestMs, longestCpuMs, heapBytes: process.memoryUsage().heapUsed };
    writeFileSync(`${file}.new`, JSON.stringify(said));
    renameSync(`${file}.new`, file);
    [longestMs, longestCpuMs] = [0, 0];
    [last, lastCpu] = [performance.now(), cpuMs()];
  });
}

if (file !== undefined) watch(file);
