import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Binding } from "../../components/binding/binding.ts";
import { RuntimeError } from "../../components/error.ts";
import { callContext, silentLog } from "../../test/support/api.ts";
import { HandBinding } from "../../test/support/hand-binding.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { BindingBlock, type BindingOptions } from "./binding.ts";
import { storeSet } from "./stores.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);

function blockOver(
  store: Binding,
  capabilities: readonly string[],
  options: Partial<BindingOptions> = {},
): { block: BindingBlock; metrics: Metrics } {
  const metrics = new Metrics();
  const opened = { name: "hand", type: "hand", store, keyPrefix: "", capabilities: new Set(capabilities) };
  const stores = storeSet("binding", new Map([["hand", opened]]));
  return { block: new BindingBlock({ stores, log: silentLog, metrics, ...options }), metrics };
}

const failsWith = (code: string, text: RegExp) => (error: unknown) =>
  error instanceof RuntimeError && error.code === code && text.test(error.message);

describe("the binding block", () => {
  const invoke = (block: BindingBlock, binding: string, operation: string) =>
    block.invoke({ binding, operation, data: bytes("x"), metadata: {} }, callContext());

  it("invokes the operations of a binding and names them when another is asked for", async () => {
    const { block } = blockOver(new HandBinding("get", "put"), ["output"]);
    assert.deepEqual((await invoke(block, "hand", "put")).metadata, { operation: "put" });
    await assert.rejects(
      invoke(block, "hand", "list"),
      failsWith("UNIMPLEMENTED", /^binding 'hand' is of type hand, which has no operation 'list'; it has get, put$/),
    );
    await assert.rejects(
      invoke(block, "hand", ""),
      failsWith("INVALID_ARGUMENT", /operation is empty.*it has get, put$/),
    );
    await assert.rejects(invoke(block, "foot", "get"), failsWith("INVALID_ARGUMENT", /'foot' is not configured/));
  });

  it("says of a binding without operations that it only brings events in", async () => {
    const { block } = blockOver(new HandBinding(), ["input"]);
    await assert.rejects(invoke(block, "hand", "get"), failsWith("UNIMPLEMENTED", /it only brings events in/));
  });

  it("listens to no binding that claims no events", async () => {
    const { block } = blockOver(new HandBinding(), ["output"]);
    await assert.rejects(
      block.listen("hand", async () => undefined),
      failsWith("UNIMPLEMENTED", /binding 'hand' is of type hand, which has no events of its own/),
    );
  });
});

describe("events of a binding", () => {
  it("are tried again until they are taken", async () => {
    const hand = new HandBinding();
    const { block, metrics } = blockOver(hand, ["input"]);
    const seen: string[] = [];
    await using _ = await block.listen("hand", async ({ data }) => {
      if (seen.push(Buffer.from(data).toString()) < 3) throw new Error("not yet");
    });
    await hand.bring("one");
    assert.deepEqual(seen, ["one", "one", "one"]);
    const text = await metrics.expose();
    assert.match(text, /outrigger_binding_events_total\{binding="hand",outcome="retry"\} 2/);
    assert.match(text, /outrigger_binding_events_total\{binding="hand",outcome="success"\} 1/);
  });

  it("go back to their source when they were tried often enough", async () => {
    const outcomes = [
      { capabilities: ["input", "redelivery"], outcome: "returned" },
      { capabilities: ["input"], outcome: "lost" },
    ];
    for (const { capabilities, outcome } of outcomes) {
      const hand = new HandBinding();
      const { block, metrics } = blockOver(hand, capabilities, { maxAttempts: 2 });
      let tries = 0;
      await using _ = await block.listen("hand", async () => {
        tries++;
        throw new Error("never");
      });
      await assert.rejects(
        hand.bring("one"),
        failsWith("ABORTED", /did not take an event of 'hand' in 2 tries: never/),
      );
      assert.equal(tries, 2);
      assert.match(await metrics.expose(), new RegExp(`outcome="${outcome}"\\} 1`));
    }
  });

  it("come to the handler a few at once, the others wait in the source", async () => {
    const hand = new HandBinding();
    const { block } = blockOver(hand, ["input"], { maxInFlight: 2 });
    const finish: (() => void)[] = [];
    await using _ = await block.listen("hand", () => new Promise((resolve) => finish.push(resolve)));
    const brought = ["a", "b", "c", "d"].map((text) => hand.bring(text));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(finish.length, 2);
    for (let done = 0; done < 4; done++) {
      finish[done]?.();
      await brought[done];
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(finish.length, Math.min(4, done + 3));
    }
  });

  it("that the handler has are waited for when listening ends; the others are given back once the source stopped", async () => {
    const hand = new HandBinding();
    const { block } = blockOver(hand, ["input"], { maxInFlight: 2 });
    const finish: (() => void)[] = [];
    const listening = await block.listen("hand", () => new Promise((resolve) => finish.push(resolve)));
    const [first, second, third] = ["a", "b", "c"].map((text) => hand.bring(text));
    const givenBack = assert.rejects(third ?? Promise.resolve(), /the source stopped/);
    await new Promise((resolve) => setImmediate(resolve));
    const ended = listening[Symbol.asyncDispose]();
    for (const done of finish) done();
    await Promise.all([first, second, ended, givenBack]);
    assert.equal(finish.length, 2);
  });

  it("that the handler does not settle in time are given back", async () => {
    const hand = new HandBinding();
    const { block } = blockOver(hand, ["input"], { drainMs: 10 });
    const listening = await block.listen("hand", () => new Promise(() => undefined));
    const brought = hand.bring("a");
    await Promise.all([assert.rejects(brought, /the source stopped/), listening[Symbol.asyncDispose]()]);
  });
});
