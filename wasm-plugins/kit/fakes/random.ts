import { randomBytes } from "node:crypto";
import type * as Random from "wasi:random/random@0.2.10";

export const getRandomBytes: typeof Random.getRandomBytes = (length) => new Uint8Array(randomBytes(length));
