/** Load by h2load, on the driver's core. */
import { spawn } from "node:child_process";
import { cores } from "./pinned-process.ts";
import { requiredTool } from "./tools.ts";

export interface Load {
  /** `http://host:port/path`. */
  readonly url: string;
  readonly requests: number;
  readonly connections: number;
  /** Requests in flight on each connection. */
  readonly streams: number;
  /** `name: value` each. */
  readonly headers?: readonly string[];
  /** A file that each request carries; it makes them POST. */
  readonly bodyFile?: string;
  /** HTTP/1.1 in place of HTTP/2 with prior knowledge. */
  readonly http1?: boolean;
  /** Gets a line for each request: its begin, its status and its microseconds. */
  readonly logFile?: string;
}

export interface LoadResult {
  readonly requestsPerSecond: number;
  /** Of all response bodies together. */
  readonly bodyBytes: number;
}

/** Headers that make a request a gRPC call. */
export const grpcHeaders: readonly string[] = ["content-type: application/grpc", "te: trailers"];

/** Drives the load and resolves when it is done; rejects when a single request was not answered with 2xx. */
export async function drive(load: Load): Promise<LoadResult> {
  const parameters = ["-n", load.requests, "-c", load.connections, "-m", load.streams].map(String);
  for (const header of load.headers ?? []) parameters.push("-H", header);
  if (load.bodyFile !== undefined) parameters.push("-d", load.bodyFile);
  if (load.logFile !== undefined) parameters.push(`--log-file=${load.logFile}`);
  if (load.http1 === true) parameters.push("--h1");
  const output = await run("taskset", ["-c", String(cores.driver), requiredTool("h2load"), ...parameters, load.url]);
  const succeeded = numberIn(output, /(\d+) succeeded/);
  const good = numberIn(output, /status codes: (\d+) 2xx/);
  if (succeeded !== load.requests || good !== load.requests) {
    throw new Error(`${good} of ${load.requests} requests to ${load.url} were answered well:\n${output}`);
  }
  return {
    requestsPerSecond: numberIn(output, /([\d.]+) req\/s/),
    bodyBytes: numberIn(output, /\((\d+)\) data/),
  };
}

function numberIn(output: string, pattern: RegExp): number {
  const found = pattern.exec(output)?.[1];
  if (found === undefined) throw new Error(`h2load said nothing of ${pattern.source}:\n${output}`);
  return Number(found);
}

function run(command: string, parameters: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, parameters, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk));
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve(output) : reject(new Error(`${command} failed:\n${output}`))));
  });
}
