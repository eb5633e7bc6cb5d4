/** What the snowflake does with its clock and its worker ids, beside what every sequencer does. */
import assert from "node:assert/strict";
import { hostname } from "node:os";
import { describe, it, type TestContext } from "node:test";
import { callWith } from "../../test/conformance/backend.ts";
import { openContext } from "../../test/support/open-context.ts";
import type { OpenContext } from "../component.ts";
import type { Sequencer } from "./sequencer.ts";
import { snowflakeSequencer, workerOf } from "./snowflake.ts";
import { SnowflakeClocks } from "./snowflake-clock.ts";

const epochMs = Date.parse("2024-01-01T00:00:00Z");
const nowMs = epochMs + 1_000_000;

const open = (settings: object = {}, changes: Partial<OpenContext> = {}): Promise<Sequencer> =>
  snowflakeSequencer.open(snowflakeSequencer.config.parse({ workerId: 5, ...settings }), openContext("ids", changes));
const next = (sequencer: Sequencer): Promise<bigint> => sequencer.reserve({ key: "k", count: 1 }, callWith());
const timeOf = (id: bigint): number => Number(id >> 22n);

/** The clock stands where the test says. */
const clockAt = ({ mock }: TestContext, ms: number): void => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: ms });
};

describe("a snowflake", () => {
  it("has the time, the worker and a count in its ids", async (context) => {
    clockAt(context, nowMs - 1);
    await using ids = await open();
    clockAt(context, nowMs);
    assert.deepEqual(
      [await next(ids), await next(ids)],
      [(1_000_000n << 22n) | (5n << 12n), (1_000_000n << 22n) | (5n << 12n) | 1n],
    );
    clockAt(context, nowMs + 7);
    assert.equal(await next(ids), (1_000_007n << 22n) | (5n << 12n));
  });

  it("takes the next millisecond when all ids of one are taken", async () => {
    await using ids = await open();
    const given = await Promise.all(Array.from({ length: 10_000 }, () => next(ids)));
    assert.equal(new Set(given).size, 10_000);
    assert.ok(new Set(given.map(timeOf)).size > 2);
  });

  it("gives no id of the millisecond in which it was opened, which may be that of its predecessor's last", async (context) => {
    clockAt(context, nowMs);
    await using ids = await open();
    const waiting = next(ids);
    clockAt(context, nowMs + 1);
    assert.equal(timeOf(await waiting), 1_000_001);
  });

  it("waits while the clock is a little behind", async (context) => {
    await using ids = await open();
    clockAt(context, Date.now() + 60);
    const before = await next(ids);
    context.mock.timers.reset();
    assert.ok((await next(ids)) > before);
  });

  it("gives no ids while the clock is far behind, says by how much, and goes on when it is back", async (context) => {
    const told: string[] = [];
    const reachability = { down: (why: string) => told.push(why), up: () => told.push("up") };
    clockAt(context, nowMs - 1);
    await using ids = await open({}, { reachability });
    clockAt(context, nowMs);
    const before = await next(ids);
    clockAt(context, nowMs - 60_000);
    const message =
      "the clock of this machine went back by 60000 ms; sequencer 'ids' gives no ids until it is where it was";
    await assert.rejects(next(ids), { code: "UNAVAILABLE", reason: "CLOCK_WENT_BACK", message });
    await assert.rejects(next(ids), { code: "UNAVAILABLE" });
    clockAt(context, nowMs);
    assert.equal(await next(ids), before + 1n);
    assert.deepEqual(told, [message, "up"]);
  });

  it("stops waiting when its caller does", async (context) => {
    clockAt(context, nowMs);
    await using ids = await open({ longestWaitMs: 10_000 });
    clockAt(context, nowMs - 9_000);
    const caller = new AbortController();
    const waiting = ids.reserve({ key: "k", count: 1 }, callWith(caller.signal));
    const reason = new Error("the caller has gone");
    caller.abort(reason);
    await assert.rejects(waiting, reason);
  });

  it("gives no id twice with another of its worker in the process, nor after it was opened anew", async (context) => {
    const clocks = new SnowflakeClocks();
    const share: OpenContext["share"] = (type) => {
      assert.ok(clocks instanceof type);
      return clocks;
    };
    clockAt(context, nowMs - 1);
    await using one = await open({}, { share });
    await using other = await open({}, { share });
    clockAt(context, nowMs);
    const given = [await next(one), await next(other), await next(one)];
    await one[Symbol.asyncDispose]();
    await using again = await open({}, { share });
    clockAt(context, nowMs - 1_000);
    await assert.rejects(next(again), { reason: "CLOCK_WENT_BACK" });
    clockAt(context, nowMs);
    assert.equal(new Set([...given, await next(again)]).size, 4);
  });

  it("has no ids before its epoch, nor 70 years behind it", async (context) => {
    clockAt(context, epochMs - 1);
    await using ids = await open();
    for (const ms of [epochMs - 1, epochMs + 2 ** 41]) {
      clockAt(context, ms);
      await assert.rejects(next(ids), { code: "OUT_OF_RANGE" });
    }
    clockAt(context, epochMs + 2 ** 41 - 1);
    assert.ok((await next(ids)) < 2n ** 63n);
  });

  it("needs a worker id, or a host whose name ends in one", async () => {
    const host = hostname();
    const opening = snowflakeSequencer.open(snowflakeSequencer.config.parse({}), openContext("ids"));
    const ending = /-(\d{1,4})$/.exec(host)?.[1];
    if (ending !== undefined && Number(ending) < 1024) await (await opening)[Symbol.asyncDispose]();
    else
      await assert.rejects(opening, {
        code: "FAILED_PRECONDITION",
        message: /give each sidecar a workerId of its own/,
      });
    for (const [name, worker] of [
      ["orders-3", 3],
      ["orders-1023", 1023],
      ["orders-1024", undefined],
      ["orders", undefined],
      ["orders3", undefined],
    ] as const) {
      assert.equal(workerOf(name), worker);
    }
  });
});
