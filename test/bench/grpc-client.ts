/**
 * What does a unary call cost the one who makes it? Our client, as invocations and callbacks use it, against grpc-js's: calls
 * with a deadline over one connection, 100 in flight and one. CPU seconds of the caller for 100,000 calls.
 */
import { join } from "node:path";
import { startGrpcApp } from "./support/contenders.ts";
import { Figures } from "./support/figures.ts";
import { cores, pinDriver, startPinned } from "./support/pinned-process.ts";
import { compare } from "./support/rounds.ts";

const sizes = [
  { inFlight: 100, calls: 40_000, goal: 1 / 20 },
  { inFlight: 1, calls: 10_000, goal: 1 / 3 },
] as const;
const caller = join(import.meta.dirname, "support/unary-caller.ts");

pinDriver();
await using application = await startGrpcApp();
const figures = new Figures("unary calls by our client");
for (const { inFlight, calls: requests, goal } of sizes) {
  await using open = new AsyncDisposableStack();
  const contenders = [];
  for (const name of ["ours", "grpc-js"]) {
    const started = open.use(
      await startPinned({
        core: cores.measured,
        command: process.execPath,
        parameters: [caller, application.address],
        ready: /^takes orders at (\S+)$/,
      }),
    );
    const load = async (calls: number): Promise<void> => {
      const query = new URLSearchParams({ client: name, calls: String(calls), inFlight: String(inFlight) });
      const response = await fetch(`http://${started.announced[1]}/?${query}`);
      if (!response.ok) throw new Error(await response.text());
    };
    contenders.push({ name, cpuSeconds: started.cpuSeconds, load });
  }
  const costs = await compare(contenders, { requests, warmUp: requests });
  figures.add({
    what: `calls, ${inFlight} in flight`,
    measured: `${costs.of("ours").toFixed(3)} s`,
    against: `grpc-js ${costs.of("grpc-js").toFixed(3)} s`,
    value: costs.ratio("ours", "grpc-js"),
    spread: costs.spread("ours", "grpc-js"),
    goal,
  });
}
figures.finish();
