import { readFile, rm, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** Runs while no other process does, by a file that holds the id of the one that does. */
export async function withLock(file: string, work: () => Promise<void>): Promise<void> {
  while (!(await tookLock(file))) await delay(200);
  try {
    await work();
  } finally {
    await rm(file, { force: true });
  }
}

async function tookLock(file: string): Promise<boolean> {
  try {
    await writeFile(file, String(process.pid), { flag: "wx" });
    return true;
  } catch {
    const holder = Number(await readFile(file, "utf8").catch(() => "0"));
    if (holder > 0 && !isAlive(holder)) await rm(file, { force: true });
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
