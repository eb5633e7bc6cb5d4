import type { ImportedInterface } from "../provider.ts";
import { cliImports } from "./cli.ts";
import { clockImports } from "./clocks.ts";
import { filesystemImports } from "./filesystem.ts";
import { ioImports } from "./io.ts";
import { randomImports } from "./random.ts";
import { socketImports } from "./sockets.ts";

/** WASI 0.2 as far as a plugin may have it: no file, no network, no environment but its manifest's. */
export const wasiImports: readonly ImportedInterface[] = [
  ...ioImports,
  ...clockImports,
  ...randomImports,
  ...cliImports,
  ...filesystemImports,
  ...socketImports,
];
