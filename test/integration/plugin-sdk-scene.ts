/** The guests of the library's test plugin. */
import { fileURLToPath } from "node:url";
import type { StreamFilter } from "../../runtime/plugin/contract.ts";
import { type Guest, TestServices, TestStream } from "../support/proxy-wasm-host.ts";
import { compilePlugin, startPlugin } from "./plugin-sdk-guest.ts";

export const plugins = fileURLToPath(new URL("../../wasm-plugins", import.meta.url));

let wasm: Promise<Uint8Array<ArrayBuffer>> | undefined;

/** The plugin of the guest library's tests, built once for all of a file. */
export function testPlugin(): Promise<Uint8Array<ArrayBuffer>> {
  wasm ??= compilePlugin("sdk/test-plugin");
  return wasm;
}

export const tourGuest = async (services = new TestServices(), configuration = '{"greeting":"hi"}'): Promise<Guest> =>
  startPlugin(await testPlugin(), { kind: "filter", rootId: "tour", configuration, services });
export const deskGuest = async (services = new TestServices()): Promise<Guest> =>
  startPlugin(await testPlugin(), { kind: "service", rootId: "desk", services });

export function openTour(
  { instance }: Guest,
  tour: string,
  fields: readonly (readonly [string, string])[] = [],
): { readonly stream: TestStream; readonly filter: StreamFilter } {
  const stream = new TestStream([[":method", "GET"], [":path", "/"], ["x-tour", tour], ...fields]);
  return { stream, filter: instance.open(stream) };
}
