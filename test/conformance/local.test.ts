/** Backends that stand on no server. */
import { withoutServer } from "./matrix.ts";

await withoutServer([
  { kind: "state", type: "memory" },
  { kind: "state", type: "sqlite" },
  { kind: "pubsub", type: "memory" },
  { kind: "config", type: "memory" },
  { kind: "config", type: "file", settings: () => ({ path: "settings" }) },
  { kind: "config", type: "file", variant: "all in one", settings: () => ({ path: "all.yaml" }) },
  { kind: "lock", type: "memory" },
  { kind: "lock", type: "sqlite" },
  { kind: "sequencer", type: "memory" },
  { kind: "sequencer", type: "sqlite" },
]);
