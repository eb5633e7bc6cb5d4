import { RuntimeError } from "../../components/error.ts";
import type { UniformApi } from "../plugin/uniform-api.ts";

const noBytes = new Uint8Array(0);

/** Building blocks that hold nothing, take everything and keep none of it. Every plugin has each of them, as `default`. */
export const emptyApi: UniformApi = {
  granted: () => ["default"],
  refused: () => undefined,
  state: {
    get: async () => undefined,
    getMany: async (_store, keys) => keys.map(() => undefined),
    set: async () => undefined,
    delete: async () => undefined,
    transact: async () => undefined,
    keys: async () => ({ keys: [], cursor: undefined }),
    increment: async (_store, _key, delta) => delta,
  },
  pubsub: { publish: async () => undefined },
  config: { get: async () => [] },
  lock: {
    tryLock: async () => true,
    unlock: async () => "success",
    keepAlive: async () => "success",
  },
  sequencer: { next: async () => 1n },
  secret: { get: async () => ({}) },
  binding: { invoke: async () => ({ data: noBytes, metadata: {} }) },
  object: {
    get: async () => (async function* () {})(),
    put: async () => undefined,
    delete: async () => undefined,
    list: async () => ({ objects: [], marker: "" }),
    stat: async (store, name) => {
      throw new RuntimeError("NOT_FOUND", "OBJECT_NOT_FOUND", `object store '${store}' has no object '${name}'`);
    },
  },
  invoke: { invoke: async () => ({ data: noBytes, contentType: "" }) },
  http: {
    has: () => false,
    request: (upstream) => {
      throw new RuntimeError("NOT_FOUND", "UPSTREAM_NOT_FOUND", `there is no upstream '${upstream}'`);
    },
  },
};
