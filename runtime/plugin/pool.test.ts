import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { TestConnection } from "../../test/support/proxy-wasm-connection.ts";
import { ToyRequest, toyEngine, toyModule } from "../../test/support/toy-engine.ts";
import { unusedApi } from "../../test/support/unused-api.ts";
import type { HostServices, PluginProgram } from "./contract.ts";
import { CrashBudget, type CrashLimits, defaultCrashLimits } from "./crash-budget.ts";
import type { HttpMessage } from "./outside-calls.ts";
import type { PluginError } from "./plugin-error.ts";
import { InstancePool } from "./pool.ts";
import type { PoolSize } from "./pool-members.ts";
import { SandboxCompiler } from "./sandbox/compiler.ts";
import { SharedDataStore } from "./shared-data.ts";
import { SharedQueueStore } from "./shared-queues.ts";

const compiler = new SandboxCompiler();
after(() => compiler[Symbol.asyncDispose]());
const limits = { memoryBytes: 65_536, tableEntries: 10, startFuel: 1_000_000 };
const module = await compiler.compile(await toyModule(201), limits);

const shared: PoolSize = { use: "shared", most: 1, spares: 1 };
const suspending: PoolSize = { use: "shared", most: 3, spares: 1 };
const exclusive: PoolSize = { use: "exclusive", most: 2, spares: 1 };
const perStream: PoolSize = { use: "per-stream", most: 2, spares: 1 };

interface OpenOptions {
  readonly size?: PoolSize;
  readonly takesWholeRequests?: boolean;
  readonly configuration?: string;
  readonly crashLimits?: Partial<CrashLimits>;
  readonly deadlineMs?: number;
  readonly replacesAtOnce?: boolean;
}

/** A pool of real guests; `starts` counts them, `gate` lets those go on that wait for the host. */
async function open(options: OpenOptions = {}) {
  const gate = Promise.withResolvers<HttpMessage>();
  const program: PluginProgram = {
    name: "toy",
    version: "1.0.0",
    kind: "service",
    module,
    configuration: new TextEncoder().encode(options.configuration ?? ""),
    vmConfiguration: new Uint8Array(0),
    environment: {},
    vmId: "",
    rootId: "",
    stubsUnknownImports: false,
    logsHostcalls: false,
    showsBodyOfHeldHeaders: false,
    restrictions: [],
    vmKey: undefined,
    suspends: true,
    fuelPerCall: 10_000,
    deadlineMs: 1_000,
  };
  const crashes: string[] = [];
  const gone = { calls: 0, fuel: 0 };
  const begun: string[] = [];
  const started = Promise.withResolvers<void>();
  const seen = { starts: 0, wanted: Number.POSITIVE_INFINITY, reached: started };
  const pool = await InstancePool.open({
    plugin: "toy",
    version: "1.0.0",
    size: options.size ?? shared,
    takesWholeRequests: options.takesWholeRequests ?? false,
    start: async (lost, freed) => {
      const instance = await toyEngine.start(program, services(gate.promise), lost, freed);
      if (++seen.starts >= seen.wanted) seen.reached.resolve();
      return instance;
    },
    budget: new CrashBudget({ ...defaultCrashLimits, ...options.crashLimits }, () => 0),
    replacesAtOnce: () => options.replacesAtOnce ?? false,
    deadlineMs: options.deadlineMs ?? 5_000,
    started: (reason) => begun.push(reason),
    gone: ({ calls, fuel }) => {
      gone.calls += calls;
      gone.fuel += fuel;
    },
    crashed: (error: PluginError, consequence) => crashes.push(`${error.fault}: ${consequence}`),
  });
  return {
    pool,
    crashes,
    begun,
    gone,
    gate,
    seen,
    /** Resolves when so many instances have been started in all, and the pool knows. */
    async starts(count: number): Promise<void> {
      if (seen.starts < count) {
        seen.wanted = count;
        seen.reached = Promise.withResolvers<void>();
        await seen.reached.promise;
      }
      await new Promise((resolve) => setImmediate(resolve));
    },
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}

function services(gate: Promise<HttpMessage>): HostServices {
  const none = (): never => assert.fail("the toy does not call this");
  return {
    log: none,
    logLevel: "info",
    metrics: { define: none, typeOf: none, record: none, increment: none, get: none },
    sharedData: new SharedDataStore().of({ name: "toy", vmId: "" }),
    sharedQueues: new SharedQueueStore().of({ name: "toy", vmId: "" }),
    hasUpstream: () => true,
    httpCall: () => gate,
    grpcCall: none,
    grpcStream: none,
    getState: none,
    invokeService: none,
    hasMethod: () => false,
    property: () => undefined,
    api: unusedApi,
  };
}

function send(pool: InstancePool, x: number): ToyRequest & { end(): void } {
  const request = new ToyRequest(x);
  const filter = request.send(pool);
  return Object.assign(request, { end: () => filter.end() });
}

describe("a pool of one shared instance", () => {
  it("lets who waited for its first instance go on before it starts a spare", async () => {
    await using one = await open();
    // As often as what has waited for it may take to go on; no timer comes in between.
    for (let times = 0; times < 100; times++) await undefined;
    assert.equal(one.seen.starts, 1);
    await one.starts(2);
    assert.equal(one.pool.counters.instances, 2);
  });

  it("serves every stream from the one, and keeps a started spare", async () => {
    await using one = await open();
    await one.starts(2);
    const requests = [0, 0, 0].map((x) => send(one.pool, x));
    assert.deepEqual(
      requests.map(({ events }) => events),
      [["continue"], ["continue"], ["continue"]],
    );
    assert.deepEqual({ ...one.pool.counters, fuel: 0 }, { instances: 2, streams: 3, calls: 5, fuel: 0 });
    assert.equal(one.seen.starts, 2);
  });

  it("refuses TCP connections of an engine that has none", async () => {
    await using one = await open();
    const host = new TestConnection();
    assert.throws(() => one.pool.openConnection(host), { fault: "refused", message: /takes no TCP connections/ });
  });

  it("rejects when the guest refuses its configuration or crashes at its start", async () => {
    await assert.rejects(open({ configuration: "refused" }), { fault: "configuration" });
    await assert.rejects(open({ configuration: "crashing" }), { fault: "trap" });
  });

  it("costs a crash only the streams of the dead instance: the spare takes over in the same turn", async () => {
    await using one = await open();
    await one.starts(2);
    const neighbour = send(one.pool, 1);
    const poison = send(one.pool, 13);
    assert.deepEqual(poison.events, ["failed trap", "pause"]);
    assert.deepEqual(neighbour.events, ["pause", "failed trap"]);
    assert.deepEqual(send(one.pool, 0).events, ["continue"]);
    await one.starts(3);
    assert.equal(one.pool.counters.instances, 2);
    assert.deepEqual(one.begun, ["wanted", "wanted", "crash"]);
    assert.deepEqual(one.crashes, ["trap: it is replaced"]);
  });

  it("ends a guest that runs for ever by its fuel", async () => {
    await using one = await open();
    await one.starts(2);
    assert.deepEqual(send(one.pool, 99).events, ["failed fuel", "pause"]);
    assert.deepEqual(send(one.pool, 0).events, ["continue"]);
  });

  it("lets a stream wait for the replacement when the spare is lost too", async () => {
    await using one = await open();
    await one.starts(2);
    send(one.pool, 13);
    send(one.pool, 13);
    const waiting = send(one.pool, 0);
    const poison = send(one.pool, 13);
    const later = send(one.pool, 3);
    assert.deepEqual(waiting.events, ["suspended"]);
    await waiting.happened("settled continue");
    await poison.happened("failed trap");
    assert.deepEqual(poison.events, ["suspended", "failed trap"]);
    await later.happened("responded 201");
    assert.equal(later.events.at(-1), "settled pause");
  });

  it("forgets a waiting stream that its client left", async () => {
    await using one = await open();
    await one.starts(2);
    send(one.pool, 13);
    send(one.pool, 13);
    const left = send(one.pool, 13);
    left.end();
    const waiting = send(one.pool, 0);
    await waiting.happened("settled continue");
    assert.deepEqual(left.events, ["suspended"]);
  });

  it("is taken out by the last crash of its budget, and says why", async () => {
    await using one = await open({ crashLimits: { most: 5, backoffMs: 1 } });
    for (let crash = 1; crash <= 5; crash++) {
      const poison = send(one.pool, 13);
      await poison.happened("failed trap");
    }
    assert.equal(one.pool.ready, false);
    assert.match(one.pool.crashedBecause ?? "", /'toy' crashed too often and was taken out; it is tried again in 60 s/);
    assert.throws(() => one.pool.open(new ToyRequest(0)), { fault: "budget" });
    assert.deepEqual(
      one.crashes.map((crash) => crash.replace(/ it is tried.*/, "")),
      [
        "trap: it is replaced",
        "trap: it is replaced",
        "trap: it is replaced",
        "trap: it is replaced in 0.001 s",
        "trap: that was too often, it is taken out;",
      ],
    );
  });

  it("fails what waits when it is taken out, and serves again after the cool-down", async () => {
    await using one = await open({ crashLimits: { most: 3, coolDownMs: 1 } });
    await one.starts(2);
    send(one.pool, 13);
    send(one.pool, 13);
    const poison = send(one.pool, 13);
    const waiting = send(one.pool, 0);
    await poison.happened("failed trap");
    await waiting.happened("failed budget");
    await one.starts(one.seen.starts + 1);
    assert.equal(one.pool.crashedBecause, undefined);
    const served = send(one.pool, 0);
    await served.happened(/continue/);
  });

  it("replaces without any wait when its fail policy is reload", async () => {
    await using one = await open({ replacesAtOnce: true, crashLimits: { immediate: 0, backoffMs: 100_000 } });
    for (let crash = 1; crash <= 5; crash++) await send(one.pool, 13).happened("failed trap");
    await send(one.pool, 0).happened(/continue/);
    assert.deepEqual(new Set(one.crashes), new Set(["trap: it is replaced"]));
  });

  it("refuses streams at once while a restart is further away than they would wait", async () => {
    await using one = await open({ crashLimits: { immediate: 0, backoffMs: 100_000 } });
    await one.starts(2);
    send(one.pool, 13);
    assert.equal(one.pool.ready, true, "the spare is there");
    send(one.pool, 13);
    assert.equal(one.pool.ready, false);
    assert.throws(() => one.pool.open(new ToyRequest(0)), { fault: "budget", message: /waits for its restart/ });
  });

  it("lets streams wait for a restart that is near, and serves them from it", async () => {
    await using one = await open({ crashLimits: { immediate: 0, backoffMs: 20 }, deadlineMs: 60_000 });
    await one.starts(2);
    send(one.pool, 13);
    send(one.pool, 13);
    assert.equal(one.pool.ready, true);
    const waiting = send(one.pool, 0);
    assert.deepEqual(waiting.events, ["suspended"]);
    await waiting.happened("settled continue");
    assert.deepEqual(one.crashes, ["trap: it is replaced in 0.02 s", "trap: it is replaced in 0.04 s"]);
  });

  it("counts an instance once, while it is there or when it is gone", async () => {
    await using one = await open();
    await one.starts(2);
    for (const x of [0, 0, 13]) send(one.pool, x);
    await one.starts(3);
    assert.equal(one.gone.calls + one.pool.counters.calls, 6);
    assert.ok(one.gone.fuel > 0);
    await one.pool[Symbol.asyncDispose]();
    assert.equal(one.gone.calls, 6);
    assert.deepEqual(one.pool.counters, { instances: 0, streams: 0, calls: 0, fuel: 0 });
  });
});

describe("a pool of guests that wait for the host", () => {
  it("gives each stream the least busy instance, and grows while all are busy", async () => {
    await using one = await open({ size: suspending });
    await one.starts(2);
    const first = send(one.pool, 2);
    const second = send(one.pool, 2);
    await one.starts(3);
    const third = send(one.pool, 2);
    await one.starts(4);
    assert.equal(one.pool.counters.instances, 4, "three at work, one spare");
    const fourth = send(one.pool, 2);
    assert.equal(one.pool.counters.instances, 4, "no more than that");
    assert.deepEqual(
      [first, second, third, fourth].map(({ events }) => events),
      Array.from({ length: 4 }, () => ["suspended"]),
    );
    one.gate.resolve({ headers: [], body: new Uint8Array(), trailers: [] });
    for (const request of [first, second, third, fourth]) await request.happened("settled continue");
  });

  it("starts nothing while one instance is enough", async () => {
    await using one = await open({ size: suspending });
    await one.starts(2);
    for (let request = 0; request < 10; request++) send(one.pool, 0).end();
    assert.equal(one.seen.starts, 2);
  });
});

describe("a pool whose instances take one stream at a time", () => {
  it("gives a stream an instance that nobody uses, and starts nothing while there is one", async () => {
    await using one = await open({ size: exclusive });
    await one.starts(2);
    for (let request = 0; request < 10; request++) send(one.pool, 1).end();
    assert.equal(one.seen.starts, 2);
    assert.equal(one.pool.counters.instances, 2);
  });

  it("grows for a burst, and lets who finds none wait for the first that is free", async () => {
    await using one = await open({ size: exclusive });
    await one.starts(2);
    const first = send(one.pool, 1);
    const second = send(one.pool, 1);
    const third = send(one.pool, 1);
    const fourth = send(one.pool, 0);
    await one.starts(3);
    assert.equal(one.pool.counters.instances, 3, "two at work, one spare");
    assert.deepEqual(
      [first, second, third, fourth].map(({ events }) => events),
      [["pause"], ["pause"], ["suspended"], ["suspended"]],
    );
    second.end();
    await third.happened("settled pause");
    assert.deepEqual(fourth.events, ["suspended"], "the others come one after the other");
    first.end();
    await fourth.happened("settled continue");
  });

  it("starts as many at once as a burst can use", async () => {
    await using one = await open({ size: { ...exclusive, most: 8 } });
    const burst = Array.from({ length: 8 }, () => send(one.pool, 1));
    for (const request of burst) await request.happened(/pause/);
    await one.starts(9);
    assert.equal(one.pool.counters.instances, 9, "eight at work, one spare");
  });

  it("costs a crash one stream, and lets no other wait because of it", async () => {
    await using one = await open({ size: exclusive, crashLimits: { immediate: 0, backoffMs: 100_000 } });
    await one.starts(2);
    const begun = send(one.pool, 1);
    await send(one.pool, 13).happened("failed trap");
    await send(one.pool, 1).happened(/pause/);
    assert.deepEqual(begun.events, ["pause"]);
    assert.deepEqual(one.crashes, ["trap: it is replaced"]);
  });

  it("keeps no instance for a request that has not come as a whole", async () => {
    await using one = await open({ size: exclusive, takesWholeRequests: true });
    await one.starts(2);
    const slow = Array.from({ length: 5 }, () => {
      const request = new ToyRequest(3);
      return { request, filter: one.pool.open(request) };
    });
    for (const { filter } of slow) {
      assert.equal(filter.requestHeaders(false), "hold");
      assert.equal(filter.requestBody(false), "pause");
    }
    assert.equal(one.pool.counters.streams, 0);
    const whole = send(one.pool, 1);
    assert.deepEqual(whole.events, ["pause"]);
    assert.equal(one.pool.counters.streams, 1);
    whole.end();
    for (const { filter } of slow) filter.end();
  });

  it("hands on a request that comes in while the pool is replaced", async () => {
    await using old = await open({ size: exclusive, takesWholeRequests: true });
    await using next = await open({ size: exclusive, takesWholeRequests: true });
    const request = new ToyRequest(0);
    const filter = old.pool.open(request);
    assert.equal(filter.requestHeaders(false), "hold");
    await old.pool.retire(60_000, next.pool);
    assert.equal(filter.requestBody(true), "continue");
    assert.equal(next.pool.counters.streams, 1);
    filter.end();
  });

  it("hands on the streams that wait to the pool that takes over", async () => {
    await using old = await open({ size: { ...exclusive, most: 1 } });
    await using next = await open({ size: exclusive });
    const begun = send(old.pool, 1);
    const waiting = send(old.pool, 0);
    const retired = old.pool.retire(60_000, next.pool);
    await waiting.happened("settled continue");
    begun.end();
    await retired;
    assert.equal(old.pool.counters.instances, 0);
  });
});

describe("a pool with an instance for each stream", () => {
  it("shares nothing: a crash costs one stream, and an instance goes with its stream", async () => {
    await using one = await open({ size: perStream });
    await one.starts(1);
    const first = send(one.pool, 1);
    const second = send(one.pool, 13);
    await second.happened("failed trap");
    assert.deepEqual(first.events, ["pause"]);
    first.end();
    const third = send(one.pool, 0);
    await third.happened(/continue/);
    third.end();
  });

  it("lets no stream wait because of the crashes of others, within the budget", async () => {
    await using one = await open({ size: perStream, crashLimits: { immediate: 0, backoffMs: 100_000, most: 5 } });
    for (let crash = 1; crash <= 4; crash++) {
      await send(one.pool, 13).happened("failed trap");
      const request = send(one.pool, 0);
      await request.happened(/continue/);
      request.end();
    }
    await send(one.pool, 13).happened("failed trap");
    assert.throws(() => one.pool.open(new ToyRequest(0)), { fault: "budget" });
  });

  it("lets a stream wait for one to end when there are as many as may be", async () => {
    await using one = await open({ size: perStream });
    const first = send(one.pool, 1);
    const second = send(one.pool, 1);
    await second.happened(/pause/);
    const third = send(one.pool, 0);
    assert.deepEqual(third.events, ["suspended"]);
    first.end();
    await third.happened("settled continue");
  });

  it("fails a stream that has waited for its deadline", async () => {
    await using one = await open({ size: { ...perStream, most: 1 }, deadlineMs: 20 });
    const first = send(one.pool, 1);
    const second = send(one.pool, 0);
    await second.happened("failed deadline");
    assert.deepEqual(first.events, ["pause"]);
  });
});

describe("a pool that is replaced", () => {
  it("lets the streams that began on it end on it, and then its instances go", async () => {
    await using old = await open();
    await using next = await open();
    const begun = send(old.pool, 1);
    let isGone = false;
    const retired = old.pool.retire(60_000, next.pool).then(() => {
      isGone = true;
    });
    const later = send(old.pool, 1);
    assert.equal(next.pool.counters.streams, 1, "a stream that begins now begins on its successor");
    assert.equal(old.pool.counters.streams, 1);
    assert.equal(isGone, false);
    begun.end();
    await retired;
    assert.equal(old.pool.counters.instances, 0);
    assert.deepEqual(begun.events, ["pause"]);
    later.end();
  });

  it("hands on the streams that still wait for an instance", async () => {
    await using old = await open({ size: { ...perStream, most: 1 } });
    await using next = await open();
    const begun = send(old.pool, 1);
    const waiting = send(old.pool, 3);
    assert.deepEqual(waiting.events, ["suspended"]);
    const retired = old.pool.retire(60_000, next.pool);
    await waiting.happened("settled pause");
    assert.equal(next.pool.counters.streams, 1);
    begun.end();
    await retired;
  });

  it("fails what is left when its time is over", async () => {
    await using old = await open();
    const begun = send(old.pool, 1);
    await old.pool.retire(1);
    assert.deepEqual(begun.events, ["pause", "failed closed"]);
    assert.throws(() => old.pool.open(new ToyRequest(0)), { fault: "closed" });
  });
});
