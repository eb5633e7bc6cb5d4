/** Does what each request asks of one interface: `{"call": "draft.get", "with": [...]}`. Texts stand for bytes, a character each. */

import { Store as SpinStore } from "fermyon:spin/key-value@2.0.0";
import * as spinVariables from "fermyon:spin/variables@2.0.0";
import * as configRuntime from "wasi:config/runtime@0.2.0-draft";
import * as configDraft from "wasi:config/store@0.2.0-draft";
import * as configDated from "wasi:config/store@0.2.0-draft-2024-09-27";
import * as configCandidate from "wasi:config/store@0.2.0-rc.1";
import * as atomics from "wasi:keyvalue/atomics@0.2.0-draft";
import * as atomics2 from "wasi:keyvalue/atomics@0.2.0-draft2";
import * as batch from "wasi:keyvalue/batch@0.2.0-draft";
import * as batch2 from "wasi:keyvalue/batch@0.2.0-draft2";
import * as store from "wasi:keyvalue/store@0.2.0-draft";
import * as store2 from "wasi:keyvalue/store@0.2.0-draft2";
import { log } from "wasi:logging/logging@0.1.0-draft";
import { publish, request } from "wasmcloud:messaging/consumer@0.2.0";

const bytesOf = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const textOf = (bytes) => (bytes ? String.fromCharCode(...bytes) : null);
const pageOf = ({ keys, cursor }) => ({ keys: [...keys], cursor: cursor === undefined ? null : String(cursor) });

const bucketCalls = ({ open }, { getMany, setMany, deleteMany }, cursorOf) => ({
  open: (name) => void open(name),
  get: (name, key) => textOf(open(name).get(key)),
  set: (name, key, value) => open(name).set(key, bytesOf(value)),
  delete: (name, key) => open(name).delete(key),
  exists: (name, key) => open(name).exists(key),
  keys(name) {
    const bucket = open(name);
    const all = [];
    let pages = 0;
    for (let cursor; ; pages++) {
      const page = bucket.listKeys(cursor);
      all.push(...page.keys);
      cursor = page.cursor;
      if (cursor === undefined || cursor === null) return { keys: all, pages: pages + 1 };
    }
  },
  keysFrom: (name, cursor) => pageOf(open(name).listKeys(cursorOf(cursor))),
  getMany: (name, keys) => [...getMany(open(name), keys)].map((pair) => pair && [pair[0], textOf(pair[1])]),
  setMany: (name, entries) =>
    setMany(
      open(name),
      entries.map(([key, value]) => [key, bytesOf(value)]),
    ),
  deleteMany: (name, keys) => deleteMany(open(name), keys),
});

const calls = {
  draft: {
    ...bucketCalls(store, batch, Number),
    increment: (name, key, delta) => String(atomics.increment(store.open(name), key, delta)),
  },
  draft2: {
    ...bucketCalls(store2, batch2, String),
    increment: (name, key, delta) => String(atomics2.increment(store2.open(name), key, delta)),
    current: (name, key) => textOf(atomics2.Cas.new(store2.open(name), key).current()),
    swap(name, key, value) {
      const cas = atomics2.Cas.new(store2.open(name), key);
      atomics2.swap(cas, bytesOf(value));
    },
    /** Loses against a write of its own, and tries again with the handle that the loss gives. */
    swapTwice(name, key, between, value) {
      const bucket = store2.open(name);
      const cas = atomics2.Cas.new(bucket, key);
      if (between === null) bucket.delete(key);
      else bucket.set(key, bytesOf(between));
      try {
        atomics2.swap(cas, bytesOf(value));
        return "won at once";
      } catch (thrown) {
        const error = thrown.payload ?? thrown;
        if (error.tag !== "cas-failed") throw thrown;
        const seen = textOf(error.val.current());
        atomics2.swap(error.val, bytesOf(value));
        return { seen };
      }
    },
  },
  config: Object.fromEntries(
    Object.entries({ configRuntime, configDraft, configDated, configCandidate }).map(([name, { get, getAll }]) => [
      name,
      { get: (key) => get(key) ?? null, getAll: () => Object.fromEntries(getAll()) },
    ]),
  ),
  spin: {
    open: (label) => void SpinStore.open(label),
    get: (label, key) => textOf(SpinStore.open(label).get(key)),
    set: (label, key, value) => SpinStore.open(label).set(key, bytesOf(value)),
    delete: (label, key) => SpinStore.open(label).delete(key),
    exists: (label, key) => SpinStore.open(label).exists(key),
    keys: (label) => SpinStore.open(label).getKeys(),
    variable: (name) => spinVariables.get(name),
  },
  logging: { log: (level, context, message) => log(level, context, message) },
  messaging: {
    publish: (subject, body, replyTo) =>
      publish({ subject, body: bytesOf(body), replyTo: replyTo === null ? undefined : replyTo }),
    request: (subject, body) => textOf(request(subject, bytesOf(body), 100).body),
  },
};

const reply = (status, value) => ({
  status,
  headers: [["content-type", "application/json"]],
  body: bytesOf(JSON.stringify(value ?? null)),
});

export const handler = {
  handle({ body }) {
    const { call, with: parameters } = JSON.parse(textOf(body));
    try {
      const found = call.split(".").reduce((from, name) => from[name], calls);
      return reply(200, found(...parameters));
    } catch (thrown) {
      const error = thrown.payload ?? thrown;
      return reply(409, error instanceof Error ? String(error) : error);
    }
  },
};
