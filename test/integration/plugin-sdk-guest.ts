import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FilterAction } from "../../runtime/plugin/contract.ts";
import { fuelPerMillisecond } from "../../runtime/plugin/sandbox/fuel.ts";
import { buildPlugin, buildPlugins } from "../../scripts/build-plugins.ts";
import { type Guest, startGuest, TestBody, type TestServices, TestStream } from "../support/proxy-wasm-host.ts";

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

/** Starts a plugin of wasm-plugins/ with the budget that its kind has. */
export function startPlugin(
  wasm: Uint8Array<ArrayBuffer>,
  options: {
    readonly kind: "filter" | "service";
    readonly configuration?: string;
    readonly rootId?: string;
    readonly services?: TestServices;
  },
): Promise<Guest> {
  const { kind, ...rest } = options;
  const service = kind === "service";
  return startGuest(wasm, { ...rest, suspends: service, fuelPerCall: (service ? 50 : 5) * fuelPerMillisecond });
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
