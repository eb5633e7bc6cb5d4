/** The servers that the benchmarks measure, each a process on the measured core. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { onFreePorts } from "../../support/sidecar.ts";
import { deployFilter, type FilterName } from "../filters/build.ts";
import { cores, type PinnedOptions, type PinnedProcess, startPinned } from "./pinned-process.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
/** A directory that takes a CPU profile of every sidecar that a benchmark starts. */
const profileDirectory = process.env.OUTRIGGER_BENCH_PROFILE;
const profiling = profileDirectory === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileDirectory}`];

/** A server that listens on loopback. */
export interface Served extends PinnedProcess {
  /** `host:port`. */
  readonly address: string;
}

export interface ServedSidecar extends Served {
  /** `host:port` of the ingress, and of the admin API. */
  readonly ingress: string;
  readonly admin: string;
  readonly directory: string;
}

export interface SidecarOptions {
  readonly configuration: Record<string, unknown>;
  /** Of Node; none unless a profile is wanted. */
  readonly nodeOptions?: readonly string[];
  /** Another entry than the sidecar's own, such as the built one. */
  readonly entry?: string;
  readonly core?: number | string;
  /** Filters of test/bench/filters that are there when it starts. */
  readonly filters?: readonly FilterName[];
  /** Is given the sidecar's directory, with `plugins` in it, before the sidecar starts. */
  readonly prepare?: (directory: string) => Promise<void>;
  /** Hears the log in place of a file. */
  readonly onLogLine?: (line: string) => void;
}

/** The sidecar, with a configuration of its own below a temporary directory that goes with it. */
export async function startBenchSidecar(options: SidecarOptions): Promise<ServedSidecar> {
  const { configuration, nodeOptions = profiling, entry = "runtime/main.ts", core = cores.measured } = options;
  const place = configured(configuration);
  for (const filter of options.filters ?? []) await deployFilter(filter, place.plugins);
  await options.prepare?.(place.directory);
  const { onLogLine } = options;
  const started = await startIn(place, {
    core,
    ...(onLogLine === undefined ? { logFile: join(place.directory, "log") } : { onLine: onLogLine }),
    command: process.execPath,
    parameters: [...nodeOptions, resolve(root, entry), "start", "--config", place.file],
    ready: /^outrigger .* serves: (.*)$/,
  });
  const banner = started.announced[1] ?? "";
  const addressOf = (name: string): string => new RegExp(`${name} (?:http://)?([^\\s,]+)`).exec(banner)?.[1] ?? "";
  return {
    ...started,
    address: addressOf("gRPC"),
    ingress: addressOf("ingress"),
    admin: addressOf("admin"),
    directory: place.directory,
  };
}

/** The same gRPC API on grpc-js. */
export async function startGrpcJs({ configuration, nodeOptions = [] }: SidecarOptions): Promise<Served> {
  const place = configured(configuration);
  const started = await startIn(place, {
    core: cores.measured,
    logFile: join(place.directory, "log"),
    command: process.execPath,
    parameters: [...nodeOptions, join(root, "test/bench/support/grpc-js-server.ts"), place.file],
    ready: /gRPC ([^\s,]+)/,
  });
  return { ...started, address: started.announced[1] ?? "" };
}

/** The application behind the proxies, on the driver's core. */
export async function startGrpcApp(): Promise<Served> {
  const started = await startPinned({
    core: cores.driver,
    command: process.execPath,
    parameters: [join(root, "test/bench/support/grpc-app.ts")],
    ready: /^serves (\S+)$/,
  });
  return { ...started, address: started.announced[1] ?? "" };
}

/** A command of the Go program that serves. */
export async function startGo(
  program: string,
  parameters: readonly string[],
  core: number = cores.measured,
): Promise<Served> {
  const started = await startPinned({ core, command: program, parameters, ready: /^serves (\S+)$/ });
  return { ...started, address: started.announced[1] ?? "" };
}

/** nghttpx, one worker, HTTP/2 with prior knowledge on both sides; it writes an access log when it is given a file for one. */
export async function startNghttpx(nghttpx: string, backend: string, accessLog?: string): Promise<Served> {
  const port = await freePort();
  const [host = "", backendPort = ""] = backend.split(":");
  const started = await startPinned({
    core: cores.measured,
    command: nghttpx,
    parameters: [
      "--conf=/dev/null",
      "--workers=1",
      "--single-process",
      `--frontend=127.0.0.1,${port};no-tls`,
      `--backend=${host},${backendPort};;proto=h2;no-tls`,
      "--log-level=NOTICE",
      ...(accessLog === undefined ? [] : [`--accesslog-file=${accessLog}`]),
    ],
  });
  await untilListening(port, started);
  return { ...started, address: `127.0.0.1:${port}` };
}

function configured(configuration: Record<string, unknown>) {
  const directory = mkdtempSync(join(tmpdir(), "outrigger-bench-"));
  const plugins = join(directory, "plugins");
  mkdirSync(plugins);
  const file = join(directory, "outrigger.yaml");
  const shared = { data: { directory }, log: { level: "info" } };
  const watched = { directory: plugins, ...(configuration.plugins as object | undefined) };
  writeFileSync(file, stringify(onFreePorts({ ...shared, ...configuration, plugins: watched })));
  return { directory, plugins, file, [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) };
}

/** Starts a process that reads what stands in a place of its own; the place goes with it, also when it cannot start. */
async function startIn(place: Disposable, options: PinnedOptions): Promise<PinnedProcess> {
  using failing = new DisposableStack();
  failing.use(place);
  const started = await startPinned(options);
  const owned = failing.move();
  return {
    ...started,
    async [Symbol.asyncDispose]() {
      // Only a process that ends by itself writes its profile.
      if (profileDirectory !== undefined) await started.stop("SIGTERM");
      await started[Symbol.asyncDispose]();
      owned.dispose();
    },
  };
}

/** A loopback port that was free a moment ago, for programs that cannot choose one and tell. */
export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port is free");
  return address.port;
}

/** Resolves once something accepts connections on the port; rejects when the process has ended before. */
export async function untilListening(port: number, owner: PinnedProcess): Promise<void> {
  while (!(await accepts(port))) {
    if (owner.hasEnded()) throw new Error(`process ${owner.pid} ended before it listened on port ${port}`);
    await setTimeout(10);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ port, host: "127.0.0.1" });
    probe.once("error", () => resolve(false));
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
  });
}
