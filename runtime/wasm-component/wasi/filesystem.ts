import type { ImportedInterface } from "../provider.ts";

/** There is never one: no directory is open, and only from an open one could another file be opened. */
class Descriptor {}
class DirectoryEntryStream {}

/** `wasi:filesystem` without a file: guests whose standard library imports it run, and find nothing. */
export const filesystemImports: readonly ImportedInterface[] = [
  {
    name: "wasi:filesystem/types",
    versions: "0.2",
    waiting: [],
    make: () => ({ Descriptor, DirectoryEntryStream, filesystemErrorCode: () => undefined }),
  },
  { name: "wasi:filesystem/preopens", versions: "0.2", waiting: [], make: () => ({ getDirectories: () => [] }) },
];
