import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** Sends SIGSTOP, and resolves once no thread of the process runs any more: until then it may still answer. */
export async function suspend(pid: number | undefined): Promise<void> {
  if (pid === undefined) throw new Error("the process that is to be suspended has not started");
  process.kill(pid, "SIGSTOP");
  while (!(await isSuspended(pid))) await delay(5);
}

/** As /proc tells it; taken for granted where there is none. */
async function isSuspended(pid: number): Promise<boolean> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const states = await Promise.all(
    threads.map(async (thread) => {
      const stat = await readFile(`/proc/${pid}/task/${thread}/stat`, "utf8").catch(() => ") T");
      return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
    }),
  );
  return states.every((state) => state === "T" || state === "t");
}
