import assert from "node:assert/strict";
import { test } from "node:test";
import { ToyRequest } from "../../test/support/toy-engine.ts";
import type { Caller, PluginInstance } from "./contract.ts";
import { PluginError } from "./plugin-error.ts";
import { WaitingStream } from "./waiting-stream.ts";

test("a stream that has waited for its instance shows it who made the request", () => {
  const caller: Caller = { plugin: "first", caller: undefined };
  const failure = new PluginError("second", "1.0.0", "closed", "it was asked for no more");
  let seen: Caller | undefined;
  const instance: PluginInstance = {
    streams: 0,
    pending: 0,
    counters: { calls: 0, fuel: 0, peakShare: 0 },
    memory: undefined,
    reportedId: "",
    open: (host) => {
      seen = host.caller;
      throw failure;
    },
    drain: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
  const request = Object.assign(new ToyRequest(0), { caller });
  new WaitingStream(request, { queue: new Set(), deadlineMs: 1_000, expired: () => failure }).begin(instance);
  assert.equal(seen, caller);
});
