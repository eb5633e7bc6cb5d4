/** The matrix: every backend of the catalog, held against the suite of its kind with what it claims. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { catalog } from "../../components/catalog.ts";
import type { ComponentDefinition, ComponentKind } from "../../components/component.ts";
import { fileConfigStore } from "../../components/config/file.ts";
import { startRedis } from "../support/redis-server.ts";
import type { Backend } from "./backend.ts";
import { type ConfigClaims, testConfigStore } from "./config.ts";
import { type LockClaims, testLockStore } from "./lock.ts";
import { type PubSubClaims, testPubSub } from "./pubsub.ts";
import { type SequencerClaims, testSequencer } from "./sequencer.ts";
import { type StateClaims, testStateStore } from "./state.ts";

/** A server that a backend stands on, while its suite runs. */
interface Server extends AsyncDisposable {
  readonly address: string;
}

/** One line a backend: what it claims, the server it needs, and the settings it is opened with. */
type Line<Claims> = Claims & {
  readonly server?: () => Promise<Server>;
  readonly settings?: (address: string) => Readonly<Record<string, unknown>>;
};

const state: Record<string, Line<StateClaims>> = {
  memory: { transactions: true, durable: false },
  sqlite: { transactions: true, durable: true },
  redis: {
    transactions: true,
    durable: true,
    server: startRedis,
    settings: (address) => ({ url: `redis://${address}` }),
  },
};
const pubsub: Record<string, Line<PubSubClaims>> = {
  memory: { ordered: true },
};
const config: Record<string, Line<ConfigClaims>> = {
  memory: { durable: false },
  file: { durable: true, settings: () => ({ path: "settings" }) },
};
const lock: Record<string, Line<LockClaims>> = {
  memory: { durable: false },
  sqlite: { durable: true },
};
const sequencer: Record<string, Line<SequencerClaims>> = {
  memory: { durable: false },
  sqlite: { durable: true },
};

/** Runs a suite for every line of a kind. */
async function run<Component extends AsyncDisposable, Claims>(
  kind: ComponentKind,
  backends: Readonly<Record<string, () => Promise<ComponentDefinition<Component>>>>,
  lines: Readonly<Record<string, Line<Claims>>>,
  suite: (title: string, backend: Backend<Component>, claims: Claims) => void,
): Promise<void> {
  test(`every ${kind} backend of the catalog has its line`, () => {
    assert.deepEqual(Object.keys(lines).sort(), Object.keys(backends).sort());
  });
  for (const [type, load] of Object.entries(backends)) {
    const line = lines[type];
    if (line === undefined) continue;
    const { server, settings = () => ({}) } = line;
    const definition = await load();
    describe(`${kind}: ${type}`, () => {
      let running: Server | undefined;
      before(async () => {
        running = await server?.();
      });
      after(() => running?.[Symbol.asyncDispose]());
      suite(`${type} as ${kind}`, { definition, settings: () => settings(running?.address ?? "") }, line);
    });
  }
}

await run("state", catalog.state, state, testStateStore);
await run("pubsub", catalog.pubsub, pubsub, testPubSub);
await run("config", catalog.config, config, testConfigStore);
await run("lock", catalog.lock, lock, testLockStore);
await run("sequencer", catalog.sequencer, sequencer, testSequencer);

const oneFile = { definition: fileConfigStore, settings: () => ({ path: "all.yaml" }) };
testConfigStore("config: file, with all applications in one", oneFile, { durable: true });
