/** What every binding does, whatever it leads to; what its operations do is told by its own tests. */
import assert from "node:assert/strict";
import type { Binding, BindingEvent } from "../../components/binding/binding.ts";
import { RuntimeError } from "../../components/error.ts";
import { BindingBlock } from "../../runtime/api/binding.ts";
import { createLog } from "../../runtime/telemetry/log.ts";
import { Metrics } from "../../runtime/telemetry/metrics.ts";
import { type Backend, callWith, eventually, openedFor, placeFor, storesOf } from "./backend.ts";
import { killsServer, outageChecks, whileAway } from "./outage.ts";

/** Registers the checks of a binding. */
export function testBinding(backend: Backend<Binding>): void {
  const { check, group } = backend.checks;
  const binding = openedFor(backend);
  /** Has an event come in; where the line says nothing of it, events come by themselves. */
  const bringEvent = async (): Promise<void> => backend.bringEvent?.();
  const input = { needs: "input" };

  check(
    "names its operations in alphabetical order, each once",
    { needs: "output", otherwise: hasNoOperations },
    () => {
      const { operations } = binding();
      assert.ok(operations.length > 0);
      assert.deepEqual(operations, [...new Set(operations)].sort());
    },
  );

  function hasNoOperations(): void {
    assert.deepEqual(binding().operations, []);
  }

  check("refuses an operation that it does not have, through the API", async () => {
    const stores = storesOf("binding", backend, binding());
    const block = new BindingBlock({ stores, log: createLog({ level: "silent" }), metrics: new Metrics() });
    const request = { binding: "conformance", operation: "no such thing", data: new Uint8Array(0), metadata: {} };
    await assert.rejects(
      async () => block.invoke(request, callWith()),
      (error: unknown) => error instanceof RuntimeError && error.code === "UNIMPLEMENTED",
    );
  });

  check("refuses every operation for a call that was cancelled before it began", { needs: "output" }, async () => {
    const reason = new Error("the caller has gone");
    for (const operation of binding().operations) {
      const request = { operation, data: new Uint8Array(0), metadata: {} };
      await assert.rejects(async () => binding().invoke(request, callWith(AbortSignal.abort(reason))), reason);
    }
  });

  check("brings events in", { needs: "input", otherwise: hasNoListen }, async () => {
    const events: BindingEvent[] = [];
    await using _ = await listen(binding(), async (event) => {
      events.push(event);
    });
    await bringEvent();
    await eventually("an event has come", () => events.length > 0);
    assert.ok(events[0]?.data instanceof Uint8Array);
  });

  function hasNoListen(): void {
    assert.equal(binding().listen, undefined);
  }

  check("brings no event in once it no longer listens", input, async () => {
    const [ended, going]: [BindingEvent[], BindingEvent[]] = [[], []];
    const listening = await listen(binding(), async (event) => {
      ended.push(event);
    });
    await bringEvent();
    await eventually("an event has come", () => ended.length > 0);
    await listening[Symbol.asyncDispose]();
    const before = ended.length;
    await using _ = await listen(binding(), async (event) => {
      going.push(event);
    });
    await bringEvent();
    await eventually("the next listener has one", () => going.length > 0);
    assert.equal(ended.length, before);
  });

  check("aborts the event that is being worked on when it no longer listens", input, async () => {
    const began = Promise.withResolvers<void>();
    const aborted = Promise.withResolvers<void>();
    const listening = await listen(binding(), async (_event, signal) => {
      signal.addEventListener("abort", () => aborted.resolve(), { once: true });
      began.resolve();
      await aborted.promise;
      throw signal.reason;
    });
    await bringEvent();
    await began.promise;
    await listening[Symbol.asyncDispose]();
    await aborted.promise;
  });

  check("brings no event in once it is closed", input, async () => {
    await using place = await placeFor(backend);
    const events: BindingEvent[] = [];

    {
      await using closing = await place.open();
      await listen(closing, async (event) => {
        events.push(event);
      });
      await bringEvent();
      await eventually("an event has come", () => events.length > 0);
    }
    const atClose = events.length;
    const next: BindingEvent[] = [];
    await using going = await place.open();
    await using _ = await listen(going, async (event) => {
      next.push(event);
    });
    await bringEvent();
    await eventually("the next listener has one", () => next.length > 0);
    assert.equal(events.length, atClose);
  });

  check("brings an event again that was rejected", { needs: "redelivery" }, async () => {
    const seen: string[] = [];
    await using _ = await listen(binding(), async ({ data }) => {
      seen.push(Buffer.from(data).toString("base64"));
      if (seen.length === 1) throw new Error("the handler failed");
    });
    await bringEvent();
    await eventually("the event has come again", () => seen.length > 1 && seen.slice(1).includes(seen[0] ?? ""));
  });

  const { invocation } = backend;
  group("an outage:", () => {
    outageChecks(
      backend,
      (opened, call) => {
        assert.ok(invocation !== undefined, "the line of a binding with a way out has an `invocation`");
        return opened.invoke({ data: new Uint8Array(0), ...invocation }, call);
      },
      ["output"],
    );

    check("brings events in again when the server was away", { ...input, ...killsServer }, async () => {
      await using place = await placeFor(backend);
      await using opened = await place.open();
      const events: BindingEvent[] = [];
      await using _ = await listen(opened, async (event) => {
        events.push(event);
      });
      await bringEvent();
      await eventually("an event has come", () => events.length > 0);
      await whileAway(backend, async () => undefined);
      const before = events.length;
      await eventually("another event has come", async () => {
        await bringEvent();
        for (let patience = 0; patience < 20 && events.length === before; patience++) {
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        return events.length > before;
      });
    });
  });
}

async function listen(binding: Binding, deliver: (event: BindingEvent, signal: AbortSignal) => Promise<void>) {
  assert.ok(binding.listen !== undefined, "the binding has the way in that it claims");
  return binding.listen(deliver);
}
