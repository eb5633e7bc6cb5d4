import { randomFillSync } from "node:crypto";
import { payForBytes } from "../charge.ts";
import type { GuestHost, ImportedInterface } from "../provider.ts";

/** Most bytes that a guest gets in one call. */
const maxBytes = 64 * 1024;

/** `wasi:random`. What may be insecure is not: it costs no more. */
export const randomImports: readonly ImportedInterface[] = [
  {
    name: "wasi:random/random",
    versions: "0.2",
    waiting: [],
    make: (host) => ({
      getRandomBytes: (length: bigint) => randomBytes(host, length),
      getRandomU64: () => randomU64(host),
    }),
  },
  {
    name: "wasi:random/insecure",
    versions: "0.2",
    waiting: [],
    make: (host) => ({
      getInsecureRandomBytes: (length: bigint) => randomBytes(host, length),
      getInsecureRandomU64: () => randomU64(host),
    }),
  },
  {
    name: "wasi:random/insecure-seed",
    versions: "0.2",
    waiting: [],
    make: (host) => ({ insecureSeed: () => [randomU64(host), randomU64(host)] }),
  },
];

function randomBytes(host: GuestHost, length: bigint): Uint8Array {
  if (length > maxBytes) throw new Error(`it asked for ${length} random bytes; at most ${maxBytes} are given at once`);
  const count = Number(length);
  payForBytes(host, count);
  return randomFillSync(new Uint8Array(count));
}

function randomU64(host: GuestHost): bigint {
  payForBytes(host, 8);
  return randomFillSync(new BigUint64Array(1))[0] ?? 0n;
}
