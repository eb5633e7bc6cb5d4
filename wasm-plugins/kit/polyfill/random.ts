/**
 * Random numbers of the host. The engine's own `Math.random` was seeded when the component was built: every instance would
 * draw the same numbers.
 */
import { getRandomBytes } from "wasi:random/random@0.2.10";

const poolBytes = 512;
const twoTo53 = 2 ** 53;
const maxBytesAtOnce = 65_536;

let pool = new Uint8Array(0);
let next = 0;

/** `Math.random`: at least 0 and below 1. */
export function random(): number {
  if (next + 7 > pool.length) {
    pool = new Uint8Array(getRandomBytes(poolBytes));
    next = 0;
  }
  let bits = (pool[next] ?? 0) & 0x1f;
  for (let index = next + 1; index < next + 7; index++) bits = bits * 256 + (pool[index] ?? 0);
  next += 7;
  return bits / twoTo53;
}

/** The part of `crypto` that is random. */
export const pluginCrypto = {
  getRandomValues<View extends ArrayBufferView>(view: View): View {
    if (view.byteLength > maxBytesAtOnce) throw new RangeError(`no more than ${maxBytesAtOnce} random bytes at once`);
    new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(getRandomBytes(view.byteLength));
    return view;
  },

  randomUUID(): string {
    const bytes = pluginCrypto.getRandomValues(new Uint8Array(16));
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  },
};
