import { payForBytes, payForCall, payForResult } from "../charge.ts";
import { witError } from "../outrigger/wit-error.ts";
import type { GuestHost, ImportedInterface } from "../provider.ts";

type Pair = readonly [key: string, value: string];

/** The plugin's own configuration by key, where it is an object: text as it is, anything else as JSON. */
function ownConfiguration({ program }: GuestHost): ReadonlyMap<string, string> {
  const own = parsed(program.configuration);
  if (typeof own !== "object" || own === null || Array.isArray(own)) return new Map();
  return new Map(
    Object.entries(own).map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]),
  );
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

/** The plugin's own configuration, then the stores. Only these can fail, with that case of the interface's `error`. */
export function configurationOf(host: GuestHost, failure: "upstream" | "provider") {
  const { api } = host.services;
  const fail = (error: unknown): never => {
    throw { tag: failure, val: witError(error).val };
  };
  let own: ReadonlyMap<string, string> | undefined;
  const read = async (store: string, keys: readonly string[]) => {
    const found = await api.config.get(store, { keys, group: "", label: "" }, host.signal).catch(fail);
    for (const { key, content } of found) payForResult(host, key.length + content.length);
    return found;
  };
  return {
    async get(key: string): Promise<string | undefined> {
      payForBytes(host, key.length);
      own ??= ownConfiguration(host);
      const given = own.get(key);
      if (given !== undefined) return given;
      for (const store of api.granted("config")) {
        const [found] = await read(store, [key]);
        if (found !== undefined) return found.content;
      }
      return undefined;
    },

    async getAll(): Promise<readonly Pair[]> {
      payForCall(host);
      own ??= ownConfiguration(host);
      const all = new Map(own);
      for (const store of api.granted("config")) {
        for (const { key, content } of await read(store, [])) if (!all.has(key)) all.set(key, content);
      }
      return [...all];
    },
  };
}

const waiting = ["get", "get-all"];
const make = (host: GuestHost) => configurationOf(host, "upstream");

/** The plugin's own configuration, then the configuration stores that it was granted, in the order of its manifest. */
export const configInterfaces: readonly ImportedInterface[] = [
  {
    name: "wasi:config/store",
    versions: ["0.2.0-draft", "0.2.0-draft-2024-09-27", "0.2.0-rc.1"],
    waiting,
    make,
  },
  { name: "wasi:config/runtime", versions: ["0.2.0-draft"], waiting, make },
];
