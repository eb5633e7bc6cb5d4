// The entry file that asconfig.json adds to every plugin's own: the exports that the host looks for, and what the
// standard library needs. It names its modules through the package, so that a plugin shares one copy of each.
import "@outrigger/plugin/assembly/standard";

export * from "@outrigger/plugin/assembly/callbacks";
