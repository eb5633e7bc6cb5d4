import { flushCompileCache } from "node:module";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const lookMs = 1_000;
/** Less work than this between two looks is none. */
const idleMicroseconds = 20_000;
/** A larger heap has more in it than what starting left, and would take longer to collect. */
const largestBytes = 64 * 1024 ** 2;

/**
 * Gives back what starting took, 6 MB or more, once in the life of a process: in its first second without work, since it
 * takes 30 ms. While modules load and the configuration is checked the heap grows, and what is idle never shrinks it by itself.
 */
export function settleWhenIdle(): Disposable {
  let before = process.cpuUsage();
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    if (user + system > idleMicroseconds) return;
    clearInterval(timer);
    if (process.memoryUsage().heapUsed <= largestBytes) settle();
  }, lookMs).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function settle(): void {
  // Where there is a cache of compiled code, the next start has it even if this process is killed.
  flushCompileCache();
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  // Collects what it can and unmaps what is then empty; a plain collection keeps the pages.
  if (typeof collect === "function") collect({ type: "major", execution: "sync", flavor: "last-resort" });
}
