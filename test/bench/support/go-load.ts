/** Load by a real grpc-go client, on the driver's core: a deadline and a unique traceparent with each call. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { cores } from "./pinned-process.ts";

const run = promisify(execFile);

export interface GoLoad {
  readonly address: string;
  readonly calls: number;
  readonly inFlight: number;
}

/** Makes GetState calls and resolves when all were answered; rejects when one was not, or not with the value. */
export async function goLoad(program: string, { address, calls, inFlight }: GoLoad): Promise<void> {
  const parameters = ["load", address, String(calls), String(inFlight)];
  await run("taskset", ["-c", String(cores.driver), program, ...parameters]);
}
