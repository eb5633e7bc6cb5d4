import type { SharedData } from "./sharing.ts";

/** Bytes that the guests of one VM id may keep, keys included. */
const defaultMaxBytes = 16 * 1024 ** 2;
const entryOverheadBytes = 64;
const maxCas = 2 ** 32;

interface Entry {
  readonly value: Uint8Array;
  readonly cas: number;
}

/** The data that guests share: one map for each VM id, in this process, for as long as it runs. */
export class SharedDataStore {
  readonly #maxBytes: number;
  readonly #maps = new Map<string, SharedData>();

  constructor(options: { readonly maxBytesPerVm?: number } = {}) {
    this.#maxBytes = options.maxBytesPerVm ?? defaultMaxBytes;
  }

  /** The data of the plugin's VM id; a plugin without one shares it with nobody but its own instances and versions. */
  of({ name, vmId }: { readonly name: string; readonly vmId: string }): SharedData {
    const key = vmId === "" ? `plugin:${name}` : `vm:${vmId}`;
    const known = this.#maps.get(key) ?? sharedMap(vmId === "" ? name : vmId, this.#maxBytes);
    this.#maps.set(key, known);
    return known;
  }
}

function sharedMap(vm: string, maxBytes: number): SharedData {
  const entries = new Map<string, Entry>();
  let usedBytes = 0;
  let lastCas = 0;
  const sizeOf = (key: string, value: Uint8Array): number => key.length + value.length + entryOverheadBytes;
  return {
    get: (key) => entries.get(key),
    set: (key, value, cas) => {
      const current = entries.get(key);
      if (cas !== 0 && current !== undefined && current.cas !== cas) return false;
      const freed = current === undefined ? 0 : sizeOf(key, current.value);
      const needed = value === undefined ? 0 : sizeOf(key, value);
      if (usedBytes - freed + needed > maxBytes) {
        throw new RangeError(`the shared data of '${vm}' may take ${maxBytes} bytes; '${key}' does not fit any more`);
      }
      usedBytes += needed - freed;
      lastCas = lastCas + 1 >= maxCas ? 1 : lastCas + 1;
      if (value === undefined) entries.delete(key);
      else entries.set(key, { value: value.slice(), cas: lastCas });
      return true;
    },
  };
}
