import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, mock, test } from "node:test";
import { openContext } from "../../test/support/open-context.ts";
import type { Binding, BindingEvent } from "./binding.ts";
import { cronBinding } from "./cron.ts";

const opened = (settings: object): Promise<Binding> =>
  cronBinding.open(cronBinding.config.parse(settings), openContext("tick"));

describe("the clock of the cron binding", () => {
  let listening: AsyncDisposable | undefined;
  const events: BindingEvent[] = [];
  /** What becomes of a tick; default done at once. */
  let taken: () => Promise<void> = async () => undefined;

  beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.parse("2026-03-28T22:59:58.500Z") }));
  afterEach(async () => {
    await listening?.[Symbol.asyncDispose]();
    listening = undefined;
    events.length = 0;
    taken = async () => undefined;
    mock.timers.reset();
  });

  async function listen(settings: object): Promise<void> {
    const binding = await opened(settings);
    listening = await binding.listen?.((event) => {
      events.push(event);
      return taken();
    });
  }

  const settled = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve));

  /** Lets the time pass second by second, as timers of real clocks see it. */
  async function pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      mock.timers.tick(1_000);
      await settled();
    }
  }

  const times = (): readonly (string | undefined)[] =>
    events.map(({ metadata }) => metadata.scheduledTime?.slice(0, 19));

  test("ticks by five fields, by six, by names and in intervals", async () => {
    await listen({ schedule: "* * * * *" });
    await pass(62);
    assert.deepEqual(times(), ["2026-03-28T23:00:00", "2026-03-28T23:01:00"]);
    assert.deepEqual(Object.keys(events[0]?.metadata ?? {}), ["scheduledTime", "readTimeUTC", "timeZone"]);
    await listening?.[Symbol.asyncDispose]();
    events.length = 0;
    await listen({ schedule: "*/20 * * * * *" });
    await pass(60);
    assert.deepEqual(times(), ["2026-03-28T23:01:20", "2026-03-28T23:01:40", "2026-03-28T23:02:00"]);
    await listening?.[Symbol.asyncDispose]();
    events.length = 0;
    await listen({ schedule: "@every 1m30s" });
    await pass(180);
    assert.deepEqual(times(), ["2026-03-28T23:03:30", "2026-03-28T23:05:00"]);
  });

  test("reads its fields in the time zone, which may skip an hour", async () => {
    await listen({ schedule: "30 0 * * *", timeZone: "Europe/Berlin" });
    await pass(3_600);
    assert.deepEqual(times(), ["2026-03-28T23:30:00"]);
    await pass(24 * 3_600);
    assert.deepEqual(times(), ["2026-03-28T23:30:00", "2026-03-29T22:30:00"]);
  });

  test("gives one tick at a time and makes up for none", async () => {
    const slow = Promise.withResolvers<void>();
    taken = () => slow.promise;
    await listen({ schedule: "* * * * * *" });
    await pass(10);
    assert.deepEqual(times(), ["2026-03-28T22:59:59"]);
    slow.resolve();
    await settled();
    await pass(2);
    assert.deepEqual(times().slice(1), ["2026-03-28T23:00:09", "2026-03-28T23:00:10"]);
  });

  test("passes over what it slept through", async () => {
    await listen({ schedule: "0 * * * *" });
    mock.timers.setTime(Date.parse("2026-03-29T05:20:00Z"));
    await pass(40 * 60);
    assert.deepEqual(times(), ["2026-03-29T06:00:00"]);
  });

  test("goes on when a tick is not taken, and stops when it is told to", async () => {
    taken = () => Promise.reject(new Error("not now"));
    await listen({ schedule: "* * * * * *" });
    await pass(3);
    assert.equal(events.length, 3);
    await listening?.[Symbol.asyncDispose]();
    await pass(3);
    assert.equal(events.length, 3);
  });
});

test("a tick under way is told when the binding stops listening, which waits for it", async () => {
  const binding = await opened({ schedule: "@every 100ms" });
  const ticked = Promise.withResolvers<AbortSignal>();
  const listening = await binding.listen?.((_, signal) => {
    ticked.resolve(signal);
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  });
  const signal = await ticked.promise;
  assert.equal(signal.aborted, false);
  await listening?.[Symbol.asyncDispose]();
  assert.equal(signal.aborted, true);
});

test("a schedule that cannot be read or never comes is refused with a sentence", () => {
  for (const schedule of ["* * * *", "* * * * * * *", "2026-01-01T00:00:00", "@reboot", "soon", "@every"])
    assert.throws(() => cronBinding.config.parse({ schedule }), /expected five or six fields/, schedule);
  for (const schedule of ["61 * * * *", "@every soon", "a b c d e"])
    assert.throws(() => cronBinding.config.parse({ schedule }), /expected a schedule that can be read/, schedule);
  for (const schedule of ["@every 0s", "@every 10ms"])
    assert.throws(() => cronBinding.config.parse({ schedule }), /expected at least 100 ms/, schedule);
  assert.throws(() => cronBinding.config.parse({ schedule: "0 0 30 2 *" }), /comes at some time/);
  const elsewhere = { schedule: "@daily", timeZone: "Mars/Phobos" };
  assert.throws(() => cronBinding.config.parse(elsewhere), /expected a time zone, such as/);
});

test("it has no operation", async () => {
  assert.deepEqual((await opened({ schedule: "@hourly" })).operations, []);
});
