import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FilterAction, PluginProgram } from "../../runtime/plugin/contract.ts";
import type { PluginError } from "../../runtime/plugin/plugin-error.ts";
import { fuelPerMillisecond } from "../../runtime/plugin/sandbox/fuel.ts";
import { proxyWasmEngine } from "../../runtime/proxy-wasm/engine.ts";
import { buildPlugin, buildPlugins } from "../../scripts/build-plugins.ts";
import { type Guest, TestBody, TestServices, TestStream } from "../support/proxy-wasm-host.ts";
import { sandboxed } from "../support/sandboxed.ts";

type Fields = readonly (readonly [name: string, value: string])[];

/** A directory that goes with its owner. */
export async function temporaryDirectory(parent = tmpdir()): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(parent, "outrigger-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** The module of a plugin below wasm-plugins/. */
export async function compilePlugin(plugin: string, version?: string): Promise<Uint8Array<ArrayBuffer>> {
  await using directory = await temporaryDirectory();
  const out = join(directory.path, "plugin.wasm");
  await buildPlugin(plugin, { out, ...(version === undefined ? {} : { version }) });
  return new Uint8Array(await readFile(out));
}

/** The module of a plugin as `npm start` serves it. */
export async function builtPlugin(plugin: string): Promise<Uint8Array<ArrayBuffer>> {
  await buildPlugins();
  return new Uint8Array(await readFile(new URL(`../../wasm-plugins/build/${plugin}.wasm`, import.meta.url)));
}

export interface PluginOptions {
  readonly kind: "filter" | "service";
  readonly configuration?: string;
  readonly rootId?: string;
  readonly services?: TestServices;
  /** Most memory; default 16 MiB. */
  readonly memoryBytes?: number;
}

/** Starts a plugin of wasm-plugins/ with the budget that its kind has. */
export async function startPlugin(wasm: Uint8Array<ArrayBuffer>, options: PluginOptions): Promise<Guest> {
  const { kind, configuration = "", rootId = "", services = new TestServices(), memoryBytes = 16 << 20 } = options;
  const service = kind === "service";
  const program: PluginProgram = {
    name: "guest",
    version: "1.0.0",
    kind,
    module: await sandboxed(wasm, { memoryBytes, tableEntries: 10_000, startFuel: 1_000_000 }),
    configuration: Buffer.from(configuration),
    vmConfiguration: new Uint8Array(0),
    environment: {},
    vmId: "",
    rootId,
    suspends: service,
    stubsUnknownImports: false,
    logsHostcalls: false,
    showsBodyOfHeldHeaders: false,
    restrictions: [],
    vmKey: undefined,
    fuelPerCall: (service ? 50 : 5) * fuelPerMillisecond,
    deadlineMs: 10_000,
  };
  const lost: PluginError[] = [];
  const instance = await proxyWasmEngine().start(program, services, (error) => lost.push(error));
  return { instance, services, lost, [Symbol.asyncDispose]: () => instance[Symbol.asyncDispose]() };
}

/** Shows a stream's filter something, and gives how the callback ended, also when the guest waited in it. */
export async function shown(stream: TestStream, callback: () => FilterAction): Promise<string> {
  const before = stream.events.splice(0);
  const action = callback();
  if (action === "suspended") await Promise.race([stream.saw("settle"), stream.saw("failed")]);
  const settled = stream.events.find((event) => event.startsWith("settle "))?.slice("settle ".length);
  stream.events.unshift(...before);
  return settled ?? action;
}

/** What a service answered. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
  readonly text: string;
}

/** Asks a service, and ends the stream. */
export async function ask(guest: Guest, method: string, path: string, body: Uint8Array | string = ""): Promise<Answer> {
  const stream = new TestStream([
    [":method", method],
    [":path", path],
    [":authority", "test"],
  ]);
  const filter = guest.instance.open(stream);
  await shown(stream, () => filter.requestHeaders(body.length === 0));
  if (body.length > 0) {
    stream.bodies.request = bodyOf(body);
    await shown(stream, () => filter.requestBody(true));
  }
  await Promise.race([stream.saw("respond"), stream.saw("failed")]);
  filter.end();
  const reply = stream.replies[0];
  if (reply === undefined) throw stream.error ?? new Error("the service did not answer");
  const headers = Object.fromEntries(reply.headers);
  return { status: reply.status, headers, bytes: reply.body, text: Buffer.from(reply.body).toString() };
}

/** A body of a test's stream, as it goes on the wire. */
export function bodyOf(content: Uint8Array | string): TestBody {
  const body = new TestBody();
  body.bytes = Buffer.from(content);
  return body;
}

/** The fields of a map of a test's stream. */
export function fieldsOf(stream: TestStream, map: keyof TestStream["maps"]): Fields {
  return stream.maps[map]?.entries() ?? [];
}
