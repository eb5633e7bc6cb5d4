/**
 * A process that reloads the component in a file again and again: compiled anew, started, called once and let go. Two versions take turns, and
 * are transpiled once. It tells what is left of it, after so many reloads each, as a line of JSON.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileGuest, openCompiler, openUniformApi, throughEngine } from "./component-calls.ts";

/** What a line tells. */
export interface Reloaded {
  readonly reloads: number;
  readonly heapBytes: number;
  readonly residentBytes: number;
}

const [, , file = "", counted = ""] = process.argv;
const counts = counted.split(",").map(Number);

/** The same component, with a custom section that makes it another version. */
function versionOf(component: Uint8Array, version: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array([...component, 0, 3, 1, 0x76, version]);
}

const directory = await mkdtemp(join(tmpdir(), "outrigger-bench-"));
try {
  await using uniform = await openUniformApi();
  await using compiler = openCompiler({ directory, cachedComponents: 1 });
  const component = await readFile(file);
  const versions = [versionOf(component, 1), versionOf(component, 2)];
  for (let reloads = 1; reloads <= Math.max(...counts); reloads++) {
    const guest = await compileGuest(
      compiler,
      versions[reloads % versions.length] ?? versionOf(component, 0),
      uniform.api,
    );
    const instance = await guest.start();
    await throughEngine(instance)(1);
    await instance[Symbol.asyncDispose]();
    if (counts.includes(reloads)) console.log(JSON.stringify(await left(reloads)));
  }
} finally {
  await rm(directory, { recursive: true });
}

async function left(reloads: number): Promise<Reloaded> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { heapUsed, rss } = process.memoryUsage();
  return { reloads, heapBytes: heapUsed, residentBytes: rss };
}
