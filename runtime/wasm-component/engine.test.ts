import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { componentGuest } from "../../test/support/component-guests.ts";
import { unusedApi } from "../../test/support/unused-api.ts";
import type { HostServices, PluginProgram } from "../plugin/contract.ts";
import { PluginError } from "../plugin/plugin-error.ts";
import { SandboxCompiler } from "../plugin/sandbox/compiler.ts";
import { SharedDataStore } from "../plugin/shared-data.ts";
import { SharedQueueStore } from "../plugin/shared-queues.ts";
import type { UniformApi } from "../plugin/uniform-api.ts";
import { ComponentCompiler } from "./component-compiler.ts";
import { wasmComponentEngine } from "./engine.ts";
import { ComponentGuest } from "./guest.ts";
import { asyncInterfaces } from "./interfaces.ts";
import type { CallClient } from "./provider.ts";

const modules = new SandboxCompiler();
const compiler = new ComponentCompiler({ modules, interfaces: asyncInterfaces });
after(async () => {
  await compiler[Symbol.asyncDispose]();
  await modules[Symbol.asyncDispose]();
});
const limits = { memoryBytes: 16 * 1024 ** 2, tableEntries: 10_000, startFuel: 50_000_000 };

const none = (): never => assert.fail("the guest does not reach this");
const services = (api: Partial<UniformApi> = {}): HostServices => ({
  log: () => {},
  logLevel: "info",
  metrics: { define: none, typeOf: none, record: none, increment: none, get: none },
  sharedData: new SharedDataStore().of({ name: "guest", vmId: "" }),
  sharedQueues: new SharedQueueStore().of({ name: "guest", vmId: "" }),
  hasUpstream: () => false,
  httpCall: none,
  grpcCall: none,
  grpcStream: none,
  getState: none,
  invokeService: none,
  hasMethod: () => false,
  property: () => undefined,
  api: { ...unusedApi, ...api },
});

const program = (module: PluginProgram["module"], changes: Partial<PluginProgram> = {}): PluginProgram => ({
  name: "guest",
  version: "1.0.0",
  kind: "service",
  module,
  configuration: new Uint8Array(0),
  vmConfiguration: new Uint8Array(0),
  environment: {},
  vmId: "",
  vmKey: undefined,
  rootId: "",
  suspends: true,
  stubsUnknownImports: false,
  logsHostcalls: false,
  showsBodyOfHeldHeaders: false,
  restrictions: [],
  fuelPerCall: 50_000_000,
  deadlineMs: 30_000,
  ...changes,
});

async function compiled(source: string, wit: string): Promise<PluginProgram["module"]> {
  const bytes = await componentGuest({
    source,
    wit: `package test:guest@0.1.0;\n${wit}`,
    world: "guest",
    wasi: "none",
  });
  return compiler.compile(bytes, limits);
}

const handles = "export outrigger:runtime/handler@0.1.0;";
const request = { method: "GET", path: "/", scheme: "http", authority: "a", headers: [], body: new Uint8Array(0) };

describe("an engine for components", () => {
  const engine = wasmComponentEngine();
  const start = (module: PluginProgram["module"], changes?: Partial<PluginProgram>) =>
    engine.start(program(module, changes), services(), none);

  it("refuses a component that imports what it does not have, and names what it has", async () => {
    const wit = `interface missing { ping: func() -> u32; }\nworld guest { import missing; import outrigger:runtime/log@0.1.0; ${handles} }`;
    const source = `import { ping } from "test:guest/missing@0.1.0";
      export const handler = { handle: () => ({ status: ping(), headers: [], body: new Uint8Array(0) }) };`;
    const module = await compiled(source, wit);
    assert.equal(engine.detect(module), "component outrigger:runtime/handler@0.1.0");
    assert.equal(engine.takesWholeRequests?.(module), true);
    await assert.rejects(start(module), {
      fault: "refused",
      message:
        "plugin 'guest' 1.0.0 imports what this host does not have: test:guest/missing@0.1.0; 'unknownImports: stub' in its manifest lets it start, and trap when it calls one of them",
    });
    await using instance = await start(module, { stubsUnknownImports: true });
    assert.equal(instance.streams, 0);
  });

  it("refuses a component that exports nothing by which it could be called", async () => {
    const wit = "interface other { run: func() -> u32; }\nworld guest { export other; }";
    const module = await compiled("export const other = { run: () => 1 };", wit);
    assert.equal(engine.detect(module), "component");
    await assert.rejects(start(module), { fault: "refused", message: /exports .*test:guest\/other@0.1.0.*; expected/ });
  });
});

describe("a guest", () => {
  let module: PluginProgram["module"];
  before(async () => {
    const source = `import * as state from "outrigger:runtime/state@0.1.0";
      let calls = 0;
      export const handler = {
        handle({ path }) {
          if (path === "/throw") throw new Error("no");
          if (path === "/loop") for (;;);
          if (path === "/state") state.get("s", "k");
          return { status: 200, headers: [["x-calls", String(++calls)]], body: new Uint8Array(0) };
        },
      };
      export const schedules = { onSchedule({ schedule }) { if (schedule === "bad") throw "it is bad"; } };`;
    const wit = `world guest { import outrigger:runtime/state@0.1.0; ${handles} export outrigger:runtime/schedules@0.1.0; }`;
    module = await compiled(source, wit);
  });

  /** `asked` is called for each read of state, with the signal of the call. */
  async function open(asked: (signal: AbortSignal) => Promise<undefined> = none, changes: Partial<PluginProgram> = {}) {
    const get: UniformApi["state"]["get"] = (_store, _key, signal) => asked(signal);
    const one = program(module, changes) as Parameters<typeof ComponentGuest.start>[0];
    const guest = await ComponentGuest.start(one, services({ state: { ...unusedState, get } }));
    const deaths: string[] = [];
    guest.died = (error) => deaths.push(error.fault);
    type Call = (argument: object) => Promise<unknown>;
    const handler = guest.exported("outrigger:runtime/handler@0.1.0") as { handle: Call };
    const schedules = guest.exported("outrigger:runtime/schedules@0.1.0") as { onSchedule: Call };
    return {
      guest,
      deaths,
      handle: (path: string, client?: CallClient) =>
        guest.call("handle", () => handler.handle({ ...request, path }), client),
      tick: (schedule: string) =>
        guest.call("on-schedule", () =>
          schedules.onSchedule({ schedule, dueMs: 0n, contentType: "", data: new Uint8Array(0) }),
        ),
    };
  }
  const unusedState = new Proxy({} as UniformApi["state"], { get: () => none });

  it("keeps what it holds from call to call, and its fuel is counted", async () => {
    const { guest, handle } = await open();
    const headers = async (): Promise<unknown> => Object(await handle("/")).headers;
    assert.deepEqual(await headers(), [["x-calls", "1"]]);
    const { fuel } = guest.counters;
    assert.ok(fuel > 0);
    assert.deepEqual(await headers(), [["x-calls", "2"]]);
    assert.equal(guest.counters.calls, 2);
    assert.ok(guest.counters.fuel > fuel);
    assert.ok(guest.counters.peakShare > 0 && guest.counters.peakShare < 1);
    assert.ok((guest.meter.memory?.buffer.byteLength ?? 0) > 65_536);
  });

  it("goes on after an error that its interface has a word for", async () => {
    const { handle, tick, deaths } = await open();
    await assert.rejects(tick("bad"), (error) => error === "it is bad");
    await tick("good");
    await handle("/");
    assert.deepEqual(deaths, []);
  });

  it("is gone after a trap, and after it used up its fuel", async () => {
    for (const [path, fault] of [
      ["/throw", "trap"],
      ["/loop", "fuel"],
    ] as const) {
      const { handle, deaths } = await open();
      await assert.rejects(handle(path), { fault });
      await assert.rejects(handle("/"), { fault });
      assert.deepEqual(deaths, [fault]);
    }
  });

  it("is given up at its deadline, and what it waits for is told", async () => {
    const told = Promise.withResolvers<unknown>();
    const { handle, deaths } = await open(
      (signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            told.resolve(signal.reason);
            reject(signal.reason);
          });
        }),
      { deadlineMs: 1_000 },
    );
    await assert.rejects(handle("/state"), { fault: "deadline", message: /its deadline of 1000 ms in handle/ });
    assert.ok((await told.promise) instanceof PluginError);
    assert.deepEqual(deaths, ["deadline"]);
  });

  const untilAborted = (signal: AbortSignal): Promise<undefined> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });

  it("is let go of without a crash when its call is unwanted, soon or at its deadline", async () => {
    for (const [until, deadlineMs] of [
      ["soon", 60_000],
      ["deadline", 200],
    ] as const) {
      const { guest, handle, deaths } = await open(
        (signal) => {
          guest.unwanted(until);
          return untilAborted(signal);
        },
        { deadlineMs },
      );
      await assert.rejects(handle("/state"), { fault: "closed", message: /was let go of in handle/ });
      assert.deepEqual(deaths, ["closed"]);
    }
  });

  it("may trap without a crash in a call that is unwanted, and has its own faults in the next", async () => {
    const { guest, handle, deaths } = await open(async () => guest.unwanted("soon") as undefined);
    await handle("/state");
    await assert.rejects(handle("/throw"), { fault: "trap" });
    const other = await open(() => {
      other.guest.unwanted("soon");
      throw new TypeError("no such thing");
    });
    await assert.rejects(other.handle("/state"), { fault: "closed", message: /counts for no crash: .*no such thing/ });
    assert.deepEqual([deaths, other.deaths], [["trap"], ["closed"]]);
  });

  it("is let go of without a crash when its deadline has an excuse", async () => {
    const { handle, deaths } = await open(untilAborted, { deadlineMs: 200 });
    await assert.rejects(handle("/state", { excusesLateness: () => true }), { fault: "closed" });
    assert.deepEqual(deaths, ["closed"]);
  });

  it("has its budget and its deadline anew where bytes of its client moved", async () => {
    const { guest, handle } = await open(async () => {
      guest.meter.pay(900);
      guest.waited();
      assert.ok(guest.meter.used >= 900);
      guest.moved();
      guest.waited();
      assert.equal(guest.meter.used, 0);
      return undefined;
    });
    await handle("/state");
    assert.ok(guest.counters.fuel >= 900);
  });

  it("takes one call at a time", async () => {
    const gate = Promise.withResolvers<undefined>();
    const { handle } = await open(() => gate.promise);
    const first = handle("/state");
    await assert.rejects(handle("/"), /handle was called while handle ran/);
    gate.resolve(undefined);
    await first;
    await handle("/");
  });

  it("tells its host of the end of a call, whatever came of it", async () => {
    const ends: string[] = [];
    const { guest, handle } = await open(async () => {
      guest.atEnd(() => ends.push("end"));
      return undefined;
    });
    await handle("/state");
    assert.deepEqual(ends, ["end"]);
    await assert.rejects(
      guest.call("exit", () => guest.exit(false)),
      { fault: "trap", message: /it exited/ },
    );
    guest.atEnd(() => ends.push("at once"));
    assert.deepEqual(ends, ["end", "at once"]);
  });
});
