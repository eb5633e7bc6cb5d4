import type { ImportedInterface } from "../provider.ts";
import { InputStream } from "./input-stream.ts";
import { IoError } from "./io-error.ts";
import { OutputStream } from "./output-stream.ts";
import { Pollable, poll } from "./pollable.ts";

/** `wasi:io`: errors, waiting, streams. */
export const ioImports: readonly ImportedInterface[] = [
  { name: "wasi:io/error", versions: "0.2", waiting: [], make: () => ({ Error: IoError }) },
  {
    name: "wasi:io/poll",
    versions: "0.2",
    waiting: ["poll", "[method]pollable.block"],
    make: (host) => ({ Pollable, poll: (pollables: readonly Pollable[]) => poll(host, pollables) }),
  },
  {
    name: "wasi:io/streams",
    versions: "0.2",
    waiting: [
      "[method]input-stream.blocking-read",
      "[method]input-stream.blocking-skip",
      "[method]output-stream.blocking-write-and-flush",
      "[method]output-stream.blocking-flush",
      "[method]output-stream.blocking-write-zeroes-and-flush",
      "[method]output-stream.blocking-splice",
    ],
    make: () => ({ InputStream, OutputStream }),
  },
];
