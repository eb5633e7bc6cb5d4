/** Calls into one component in this process: as the data plane makes them, and as plain jco does. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { transpileBytes } from "@bytecodealliance/jco-transpile";
import { guestApi } from "../../../runtime/api/guest-api.ts";
import { capabilities } from "../../../runtime/config/scalars.ts";
import { CallsInFlight } from "../../../runtime/grpc/calls-in-flight.ts";
import type {
  CallbackTimings,
  LocalReply,
  PluginInstance,
  PluginProgram,
  StreamHost,
} from "../../../runtime/plugin/contract.ts";
import { openLifecycleMetrics } from "../../../runtime/plugin/lifecycle-metrics.ts";
import { SandboxCompiler } from "../../../runtime/plugin/sandbox/compiler.ts";
import type { HttpApi, UniformApi } from "../../../runtime/plugin/uniform-api.ts";
import { HeaderList } from "../../../runtime/proxy/headers.ts";
import { Metrics } from "../../../runtime/telemetry/metrics.ts";
import {
  ComponentCompiler,
  type ComponentCompilerOptions,
} from "../../../runtime/wasm-component/component-compiler.ts";
import { wasmComponentEngine } from "../../../runtime/wasm-component/engine.ts";
import { asyncInterfaces } from "../../../runtime/wasm-component/interfaces.ts";
import { openApiParts, silentLog } from "../../support/api.ts";
import { componentGuest } from "../../support/component-guests.ts";
import { programOf, TestServices } from "../../support/proxy-wasm-host.ts";

const request = [":method", "GET", ":path", "/stock/17", ":authority", "shop", ":scheme", "http", "x-tenant", "blue"];
const limits = { memoryBytes: 64 * 1024 ** 2, tableEntries: 100_000, startFuel: 500_000_000 };
const fuelPerCall = 50_000_000;

/** Makes calls one after the other; rejects when one is not answered well. */
export type Calls = (count: number) => Promise<void>;

/** The uniform API over stores in memory, as a plugin that was granted them has it. */
export async function openUniformApi(): Promise<AsyncDisposable & { readonly api: UniformApi }> {
  const parts = await openApiParts();
  const grants = capabilities.parse({ state: ["inventory"] });
  const plugin = {
    plugin: "bench",
    version: "1.0.0",
    grants,
    appId: "app",
    log: silentLog,
    calls: new CallsInFlight(),
  };
  const noHttp: HttpApi = {
    has: () => false,
    request: () => {
      throw new Error("no upstream is called here");
    },
  };
  return {
    api: guestApi(plugin, parts.blocks, noHttp),
    [Symbol.asyncDispose]: () => parts[Symbol.asyncDispose](),
  };
}

/** The guest of test/bench/guests/two-state-calls.js: a read and a write, in QuickJS. */
export const twoStateCalls = (): Promise<Uint8Array<ArrayBuffer>> =>
  componentGuest({ source: new URL("../guests/two-state-calls.js", import.meta.url), world: "service", wasi: "none" });

/** What the sidecar compiles components by, and the measures that it takes of their calls. */
export interface OpenedCompiler extends AsyncDisposable {
  readonly compiler: ComponentCompiler;
  readonly timings: CallbackTimings;
}

/** Keeps nothing on the disk unless it is told where. */
export function openCompiler(
  options: Pick<ComponentCompilerOptions, "directory" | "cachedComponents"> = {},
): OpenedCompiler {
  const open = new AsyncDisposableStack();
  const modules = open.use(new SandboxCompiler());
  const compiler = open.use(new ComponentCompiler({ ...options, modules, interfaces: asyncInterfaces }));
  const metrics = open.use(openLifecycleMetrics(new Metrics(), () => []));
  return { compiler, timings: metrics.timingsOf("bench"), [Symbol.asyncDispose]: () => open.disposeAsync() };
}

/** A component that is compiled, and may be started as often as one likes. */
export interface CompiledGuest {
  start(): Promise<PluginInstance>;
}

export async function compileGuest(
  { compiler, timings }: OpenedCompiler,
  bytes: Uint8Array<ArrayBuffer>,
  api: UniformApi,
): Promise<CompiledGuest> {
  const compiled = await compiler.compile(bytes, limits);
  const program: PluginProgram = programOf(compiled, { kind: "service", fuelPerCall, deadlineMs: 10_000, timings });
  const engine = wasmComponentEngine();
  const services = Object.assign(new TestServices(), { api });
  return { start: () => engine.start(program, services, (error) => Promise.reject(error)) };
}

/** Calls through the engine, as the data plane makes them: a stream for each, until its answer is there. */
export function throughEngine(instance: PluginInstance): Calls {
  return async (count) => {
    for (let call = 0; call < count; call++) {
      const stream = new AnsweredStream();
      const filter = instance.open(stream);
      filter.requestHeaders(true);
      await stream.answered;
      filter.end();
      // The guest has a few steps to its end when its answer is there.
      while (instance.streams > 0) await undefined;
    }
  };
}

/** Calls of the same component as jco alone runs it: its code as it was generated, no sandbox, and a Map as its store. */
export async function throughJco(bytes: Uint8Array): Promise<Calls> {
  const { name, functions } = handler;
  const { files } = await transpileBytes(bytes, {
    name: "component",
    instantiation: "async",
    emitTypescriptDeclarations: false,
    nodejsCompat: false,
    map: { [stateName]: stateName },
    asyncMode: "jspi",
    asyncImports: ["get", "set"].map((one) => `${stateName}#${one}`),
    asyncExports: functions.map((one) => `${name}#${one}`),
  });
  const values = new Map<string, { readonly value: Uint8Array; readonly etag: string }>();
  const state = {
    get: async (_store: string, key: string) => values.get(key),
    set: async (_store: string, key: string, value: Uint8Array) => {
      values.set(key, { value: value.slice(), etag: "1" });
    },
  };
  const unused = (own: object): object =>
    new Proxy(own, { get: (_own, name) => Reflect.get(own, name) ?? (() => undefined) });
  const imports = new Proxy(
    { [stateName]: unused(state) },
    { get: (own, name) => Reflect.get(own, name) ?? unused({}) },
  );
  const core = (file: string): Promise<WebAssembly.Module> =>
    WebAssembly.compile(new Uint8Array(files[file] ?? new Uint8Array(0)));
  const { instantiate } = await importText(Buffer.from(files["component.js"] ?? "").toString());
  const { handle } = Object((await instantiate(core, imports))[name]);
  const headers = [["x-tenant", "blue"]];
  const asked = {
    method: "GET",
    path: "/stock/17",
    scheme: "http",
    authority: "shop",
    headers,
    body: new Uint8Array(0),
  };
  return async (count) => {
    for (let call = 0; call < count; call++) {
      const { status } = await handle(asked);
      if (status !== 200) throw new Error(`the component answered ${status}`);
    }
  };
}

/** The same work of a handler that is JavaScript of the sidecar itself. */
export function withoutGuest(api: UniformApi): Calls {
  const { signal } = new AbortController();
  const value = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  return async (count) => {
    for (let call = 0; call < count; call++) {
      const stream = new AnsweredStream();
      const path = stream.fields.get(":path") ?? "";
      const found = await api.state.get("inventory", path, signal);
      await api.state.set("inventory", [{ key: path, value }], signal);
      stream.respond({ status: 200, details: "", headers: [], body: found?.value ?? value });
      await stream.answered;
    }
  };
}

const stateName = "outrigger:runtime/state@0.1.0";
const handler = { name: "outrigger:runtime/handler@0.1.0", functions: ["handle"] };

type Instantiate = (
  core: (name: string) => Promise<WebAssembly.Module>,
  imports: object,
) => Promise<Readonly<Record<string, unknown>>>;

async function importText(text: string): Promise<{ readonly instantiate: Instantiate }> {
  const directory = await mkdtemp(join(tmpdir(), "outrigger-bench-"));
  const file = join(directory, "component.mjs");
  try {
    await writeFile(file, text);
    return await import(pathToFileURL(file).href);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** A stream of the data plane with nothing around it, and a request without a body. */
class AnsweredStream implements StreamHost {
  readonly fields = HeaderList.ofFlat(request);
  readonly answered: Promise<void>;
  #answer: () => void = () => {};
  #fail: (error: Error) => void = () => {};

  constructor() {
    this.answered = new Promise((resolve, reject) => {
      this.#answer = resolve;
      this.#fail = reject;
    });
  }

  headers(map: string): HeaderList | undefined {
    return map === "request-headers" ? this.fields : undefined;
  }

  respond({ status }: LocalReply): void {
    if (status === 200) this.#answer();
    else this.#fail(new Error(`the component answered ${status}`));
  }

  failed(error: Error): void {
    this.#fail(error);
  }

  body(): undefined {}
  property(): undefined {}
  answer(): undefined {}
  resume(): void {}
  settle(): void {}
  reset(): void {}
  clearRoute(): void {}

  setProperty(): boolean {
    return true;
  }
}
