import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pathOfEvents, pathOfTicks } from "./declarations.ts";
import { bareManifest, parseManifest } from "./manifest.ts";
import { PluginError } from "./plugin-error.ts";

const read = (text: string) => parseManifest(text, "plugins/orders.yaml", "orders");

function refusalOf(text: string): string {
  try {
    read(text);
  } catch (error) {
    assert.ok(error instanceof PluginError);
    assert.equal(error.fault, "refused");
    return error.message;
  }
  return assert.fail("the manifest was accepted");
}

describe("a manifest", () => {
  it("has defaults for everything but the name", () => {
    assert.deepEqual(read("name: orders"), {
      name: "orders",
      version: "0.0.0",
      kind: "filter",
      suspends: false,
      isolation: "shared",
      limits: { memoryBytes: 64 * 1024 ** 2, budgetMs: 50, deadlineMs: 1_000, instances: 16 },
      capabilities: {
        state: [],
        pubsub: [],
        config: [],
        lock: [],
        sequencer: [],
        secret: [],
        binding: [],
        object: [],
        invoke: [],
        upstreams: [],
        foreign: [],
      },
      subscriptions: [],
      schedules: [],
      fail: "closed",
      rollout: {
        promotion: "automatic",
        window: 60_000,
        minimumStreams: 100,
        errorRate: 0.01,
        traps: 0,
        latency: 1.5,
        warmUp: 0,
        stagedOnly: false,
      },
      environment: {},
      vmId: "",
      rootId: "",
      unknownImports: "refuse",
      allowOnHeadersStopIteration: false,
      log: { hostcalls: false },
    });
  });

  it("holds a plugin to functions only where it names them", () => {
    assert.equal(read("name: orders").allowedFunctions, undefined);
    assert.deepEqual(read("{ name: orders, allowedFunctions: [proxy_log] }").allowedFunctions, ["proxy_log"]);
    assert.throws(() => read("{ name: orders, allowedFunctions: proxy_log }"), /allowedFunctions: expected a list/);
  });

  it("lets a service wait for the host, unless it says otherwise", () => {
    assert.equal(read("name: orders\nkind: service").suspends, true);
    assert.equal(read("{ name: orders, kind: service, suspends: false }").suspends, false);
  });

  it("takes sizes and durations with their units, and rounds memory up to whole pages", () => {
    const { limits } = read("{ name: orders, limits: { memory: 100Ki, budget: 0.5ms, deadline: 2s, instances: 3 } }");
    assert.deepEqual(limits, { memoryBytes: 128 * 1024, budgetMs: 0.5, deadlineMs: 2_000, instances: 3 });
  });

  it("gives every stream of an isolated plugin an instance, up to 64 unless it says otherwise", () => {
    assert.equal(read("{ name: orders, isolation: stream }").limits.instances, 64);
  });

  it("keeps the configuration as it is", () => {
    assert.deepEqual(read("{ name: orders, configuration: { currency: EUR, rates: [1, 2] } }").configuration, {
      currency: "EUR",
      rates: [1, 2],
    });
    assert.equal(read("{ name: orders, configuration: text }").configuration, "text");
  });

  it("is refused with every mistake at once: where, what was expected, and the nearest name", () => {
    const message = refusalOf(
      "nam: orders\nkind: servce\nlimits: { memroy: 1Mi, budget: 5 }\ncapabilities: { stat: [orders] }\nfail: shut",
    );
    assert.match(message, /^the manifest of plugin 'orders' \(plugins\/orders\.yaml\) has \d mistakes: /);
    assert.match(message, /nam: unknown key; did you mean 'name'\?/);
    assert.match(message, /name: missing; expected text/);
    assert.match(message, /kind: expected one of filter, service, found 'servce'; did you mean 'service'\?/);
    assert.match(message, /limits\.memroy: unknown key; did you mean 'memory'\?/);
    assert.match(message, /limits\.budget: expected text, found 5/);
    assert.match(message, /capabilities\.stat: unknown key; did you mean 'state'\?/);
    assert.match(message, /fail: expected one of open, closed, reload, found 'shut'/);
  });

  it("names variables of the environment as programs do, and not too many", () => {
    assert.deepEqual(read("{ name: orders, environment: { GOGC: '50' } }").environment, { GOGC: "50" });
    for (const wrong of ['{ "A=B": x }', '{ A: "\\0" }', "{ A: 1 }"])
      assert.match(refusalOf(`{ name: orders, environment: ${wrong} }`), /environment/);
    const many = Array.from({ length: 65 }, (_, index) => `V${index}: x`).join(", ");
    assert.match(refusalOf(`{ name: orders, environment: { ${many} } }`), /environment: expected no more than 64/);
  });

  it("cannot ask for a budget or a memory that would hold up the sidecar", () => {
    assert.match(
      refusalOf("{ name: orders, limits: { budget: 1h } }"),
      /limits\.budget: expected a duration above 0 and up to 1s, found '1h'$/,
    );
    assert.match(
      refusalOf("{ name: orders, limits: { memory: 2Gi } }"),
      /expected a size from 64Ki to 1Gi, found '2Gi'$/,
    );
    assert.match(refusalOf("{ name: orders, limits: { budget: 0ms } }"), /limits\.budget/);
    assert.match(refusalOf("{ name: orders, limits: { memory: 3Gi } }"), /limits\.memory: expected a size from 64Ki/);
    assert.match(refusalOf("{ name: orders, limits: { instances: 100000 } }"), /limits\.instances/);
  });

  it("is refused when it is not YAML, or has a key twice", () => {
    assert.match(refusalOf("name: [orders"), /not valid YAML/);
    assert.match(refusalOf("name: orders\nname: billing"), /not valid YAML/);
    assert.match(refusalOf("just text"), /expected a mapping/);
  });

  it("is refused when its version is a number, which YAML would round", () => {
    assert.match(refusalOf("name: orders\nversion: 1.10"), /version: expected text, found 1\.1/);
    assert.equal(read('name: orders\nversion: "1.10"').version, "1.10");
  });
});

describe("what a service declares", () => {
  const service = (declared: string): string => `{ name: orders, kind: service, ${declared} }`;

  it("is topics and schedules, with defaults for how they reach it", () => {
    const { subscriptions, schedules } = read(
      service("subscriptions: [{ pubsub: events, topic: a/b }], schedules: [{ name: sweep, cron: '@every 1h30m' }]"),
    );
    assert.deepEqual(subscriptions, [{ pubsub: "events", topic: "a/b", timeout: 60_000, metadata: {} }]);
    assert.deepEqual(schedules, [{ name: "sweep", cron: "@every 1h30m", timeZone: "UTC", timeout: 60_000 }]);
    assert.equal(subscriptions[0] && pathOfEvents(subscriptions[0]), "/events/events/a%2Fb");
    assert.equal(schedules[0] && pathOfTicks(schedules[0]), "/schedules/sweep");
  });

  it("is for services only, each once, and of a form that can be", () => {
    const topic = "{ pubsub: events, topic: orders }";
    assert.match(
      refusalOf(`{ name: orders, subscriptions: [${topic}], schedules: [{ name: a, cron: "@daily" }] }`),
      /2 mistakes: subscriptions: only a plugin of kind service may have some.*; schedules: only a plugin of kind service/,
    );
    const wrong: readonly (readonly [string, RegExp])[] = [
      [`subscriptions: [${topic}, ${topic}]`, /subscriptions: expected each topic once/],
      [
        "subscriptions: [{ pubsub: events, topic: a, deadLetterTopic: a }]",
        /\[0\]\.deadLetterTopic: expected another topic/,
      ],
      ["subscriptions: [{ pubsub: events, topic: a, path: events }]", /\[0\]\.path: expected a path, such as/],
      ["subscriptions: [{ pubsub: events, topic: a, maxAttempts: 0 }]", /\[0\]\.maxAttempts/],
      ["schedules: [{ name: a, cron: hourly }]", /\[0\]\.cron: expected five or six fields/],
      ["schedules: [{ name: a, cron: '@every 10ms' }]", /\[0\]\.cron: expected at least 100 ms/],
      ["schedules: [{ name: a, cron: '@daily', timeZone: Mars }]", /\[0\]\.timeZone: expected a time zone/],
      [
        "schedules: [{ name: a, cron: '@daily', timeout: 1h }]",
        /\[0\]\.timeout: expected a duration above 0 and up to 5m/,
      ],
      [
        `schedules: [{ name: a, cron: "@daily", data: ${"x".repeat(65_537)} }]`,
        /\[0\]\.data: expected no more than 64Ki/,
      ],
      ["schedules: [{ name: a, cron: '@daily' }, { name: a, cron: '@hourly' }]", /schedules: expected each name once/],
    ];
    for (const [declared, mistake] of wrong) assert.match(refusalOf(service(declared)), mistake, declared);
  });
});

describe("a module without a manifest", () => {
  it("is a filter named after its file, without capabilities", () => {
    const manifest = bareManifest("tracer", "plugins/tracer.wasm", "filter");
    assert.equal(manifest.name, "tracer");
    assert.equal(manifest.kind, "filter");
    assert.deepEqual(Object.values(manifest.capabilities).flat(), []);
  });

  it("is refused when its file's name cannot be a plugin's", () => {
    assert.throws(
      () => bareManifest("my filter!", "plugins/my filter!.wasm", "filter"),
      /name: expected a name of letters/,
    );
  });
});
