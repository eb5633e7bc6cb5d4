import { freePort, untilListening } from "./contenders.ts";
import { cores, type PinnedProcess, startPinned } from "./pinned-process.ts";
import { tool } from "./tools.ts";

/** A redis server that keeps nothing on the disk, on the driver's core; undefined when there is none to start. */
export async function startRedis(): Promise<(PinnedProcess & { readonly address: string }) | undefined> {
  const program = tool("redis-server");
  if (program === undefined) return undefined;
  const port = await freePort();
  const started = await startPinned({
    core: cores.driver,
    command: program,
    parameters: ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
  });
  await untilListening(port, started);
  return { ...started, address: `127.0.0.1:${port}` };
}
