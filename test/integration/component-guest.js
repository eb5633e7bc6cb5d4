/** Does what the path of a request says, keeps what topics and the clock bring it, and changes what goes through it. */
import * as config from "outrigger:runtime/config@0.1.0";
import * as invoke from "outrigger:runtime/invoke@0.1.0";
import * as lock from "outrigger:runtime/lock@0.1.0";
import * as log from "outrigger:runtime/log@0.1.0";
import * as plugin from "outrigger:runtime/plugin@0.1.0";
import * as pubsub from "outrigger:runtime/pubsub@0.1.0";
import * as sequencer from "outrigger:runtime/sequencer@0.1.0";
import * as state from "outrigger:runtime/state@0.1.0";

const bytesOf = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const textOf = (bytes) => String.fromCharCode(...bytes);
const answer = (body, status = 200, headers = [["x-from", "guest"]]) => ({ status, headers, body: bytesOf(body) });
const text = (value) => answer(JSON.stringify(value ?? null));
/** Of a call that fails, what it throws. */
const failing = (call) => {
  try {
    return { unexpected: call() ?? null };
  } catch (error) {
    return error.payload ?? String(error);
  }
};
const call = (id, method) => ({ id, method, verb: "", query: "", contentType: "", data: bytesOf(""), metadata: [] });

let served = 0;

const calls = {
  echo: (request) => ({ status: 201, headers: request.headers, body: request.body }),
  request: ({ method, path, scheme, headers, body }) => text({ method, path, scheme, headers, body: textOf(body) }),
  served: () => text(++served),
  version() {
    const { version, broken } = JSON.parse(plugin.configuration());
    return broken ? answer("broken", 500) : answer(String(version));
  },
  configuration: () => text(plugin.configuration()),
  put: ({ body }, key) => text(state.set("orders", key, body)),
  get(_request, key) {
    const entry = state.get("orders", key);
    return entry === undefined || entry === null ? answer("", 404) : answer(textOf(entry.value));
  },
  count: (_request, key) => text(Number(state.increment("orders", key, 1))),
  many() {
    state.setMany("orders", [
      { key: "m1", value: bytesOf("one"), etag: undefined, ttlSeconds: undefined },
      { key: "m2", value: bytesOf("two"), etag: undefined, ttlSeconds: 60 },
    ]);
    const [one, none] = state.getMany("orders", ["m1", "nothing"]);
    const conflict = failing(() =>
      state.transact("orders", [
        { tag: "delete", val: { key: "m1", etag: one.etag } },
        { tag: "set", val: { key: "m2", value: bytesOf("x"), etag: "wrong", ttlSeconds: undefined } },
      ]),
    );
    const kept = textOf(state.get("orders", "m1").value);
    state.delete("orders", "m1");
    return text({
      one: textOf(one.value),
      none: none ?? null,
      conflict: conflict.tag,
      kept,
      gone: state.get("orders", "m1") ?? null,
    });
  },
  others: () =>
    text({
      locked: lock.tryLock("jobs", "job", "me", 60),
      lockedAgain: lock.tryLock("jobs", "job", "you", 60),
      unlocked: lock.unlock("jobs", "job", "you"),
      number: Number(sequencer.next("numbers", "n", "strong")),
      settings: config.get("settings", "no-such-key") ?? null,
      selected: [...config.select("settings", { keys: [], group: "", label: "" })].length,
    }),
  publish({ body }, topic) {
    pubsub.publish("events", { topic, data: body, contentType: "application/json", metadata: [], raw: false });
    return answer("");
  },
  denied: () => text([failing(() => state.get("secret", "k")), failing(() => state.get("nowhere", "k")).tag]),
  log: () => text(log.write("warn", "the guest was here")),
  wait: () => text(failing(() => textOf(invoke.invoke(call("slow", "/")).data))),
  large: () => ({ status: 200, headers: [], body: new Uint8Array(300_000).fill(120) }),
  odd: ({ headers }) => ({
    status: Number(headers.find(([name]) => name === "x-status")?.[1] ?? 200),
    headers: JSON.parse(headers.find(([name]) => name === "x-fields")?.[1] ?? "[]"),
    body: bytesOf("its own"),
  }),
  throw() {
    throw new Error("the guest is confused");
  },
  loop() {
    for (;;);
  },
  catchingLoop() {
    for (;;) {
      try {
        state.get("orders", "k");
      } catch {}
    }
  },
  allocate() {
    const kept = [];
    for (;;) kept.push(new Uint8Array(1_000_000).fill(1));
  },
};

export const handler = {
  handle(request) {
    const [, , name, argument] = request.path.split(/[/?]/);
    return calls[name]?.(request, argument) ?? answer("no such call", 404);
  },
};

export const events = {
  onEvent({ id, pubsub: from, topic, source, type, contentType, data, time, extensions }) {
    const body = textOf(data);
    if (body.includes("drop")) return "drop";
    const event = {
      hasId: id !== "",
      from,
      topic,
      source,
      type,
      contentType,
      body,
      hasTime: time !== undefined,
      extensions,
    };
    state.set("orders", `event-${topic}`, bytesOf(JSON.stringify(event)));
    return "success";
  },
};

export const schedules = {
  onSchedule({ schedule, dueMs, contentType, data }) {
    if (schedule === "failing") throw "the guest is not ready";
    const isNow = Math.abs(Date.now() - Number(dueMs)) < 60_000;
    state.set("orders", `tick-${schedule}`, bytesOf(JSON.stringify({ isNow, contentType, data: textOf(data) })));
  },
};
