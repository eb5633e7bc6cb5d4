/** Backends that stand on no server, or on one of a few lines. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { environmentWith, fileWith, mountWith } from "../support/secret-places.ts";
import { withoutServer } from "./matrix.ts";

const http = createServer((_, response) => response.end())
  .listen(0, "127.0.0.1")
  .unref();
await once(http, "listening");
const httpAddress = `127.0.0.1:${(http.address() as AddressInfo).port}`;

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
  { kind: "sequencer", type: "snowflake", settings: () => ({ workerId: 1 }) },
  { kind: "secret", type: "env", prepare: environmentWith },
  { kind: "secret", type: "file", prepare: fileWith },
  {
    kind: "secret",
    type: "file",
    variant: "multi-valued",
    prepare: async (secrets, directory) => ({ ...(await fileWith(secrets, directory)), multiValued: true }),
  },
  { kind: "secret", type: "directory", prepare: mountWith },
  { kind: "object", type: "local", settings: () => ({ path: "files" }) },
  { kind: "binding", type: "http", settings: () => ({ url: `http://${httpAddress}` }) },
  { kind: "binding", type: "cron", settings: () => ({ schedule: "@every 100ms" }) },
  { kind: "binding", type: "local", settings: () => ({ path: "files" }) },
]);
