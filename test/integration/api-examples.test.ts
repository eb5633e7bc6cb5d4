/** The SDK's examples, run as their readers run them. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { cronBinding } from "../../components/binding/cron.ts";
import { BindingBlock } from "../../runtime/api/binding.ts";
import { storeSet } from "../../runtime/api/stores.ts";
import { AppChannel } from "../../runtime/app/app-channel.ts";
import { Metrics } from "../../runtime/telemetry/metrics.ts";
import { OutriggerClient } from "../../sdk/index.ts";
import { logUntil, openedStore, type ServedApi, serveApi, silentLog } from "../support/api.ts";
import { openContext } from "../support/open-context.ts";

const examples = fileURLToPath(new URL("../../sdk/examples/", import.meta.url));

const start = (name: string, environment: Record<string, string>): ChildProcess =>
  spawn(process.execPath, [`${examples}${name}.ts`], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });

/** The lines that an example prints; fails with what it wrote to stderr when it does. */
async function run(name: string, api: ServedApi): Promise<string[]> {
  const child = start(name, { OUTRIGGER_GRPC_ADDRESS: api.address });
  assert.ok(child.stdout && child.stderr);
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  assert.equal(code, 0, errors);
  return output.trim().split("\n");
}

const expected: Readonly<Record<string, readonly string[]>> = {
  hello: ["Hello, example"],
  state: [
    'there is {"stock":10}',
    "the second writer got ABORTED ETAG_MISMATCH",
    "example:apple is gone",
    "example:pear is one",
  ],
  pubsub: ['example-orders says {"order":7} as application/json'],
  config: ["the color is green", "example-color became green", "example-color was deleted"],
  lock: ["somebody else got the lock: false; it is still ours: true", "renewed: success", "unlocked: success"],
  secret: ["EXAMPLE_TOKEN has 10 characters", "readable: EXAMPLE_TOKEN", "PERMISSION_DENIED SECRET_NOT_ALLOWED"],
  file: [
    "the report has 21 bytes",
    "the note says a note",
    "example/note.txt: 6",
    "example/report.txt: 21",
    "the report belongs to example",
    "after that there is undefined",
  ],
  binding: [
    "the report says: all is well",
    'there are ["example/may.txt"]',
    "UNIMPLEMENTED: binding 'reports' is of type memory, which has no operation 'burn'; it has create, delete, get, list",
  ],
  sequencer: ["three ids: 3; in order: true"],
};

describe("the examples of the SDK", { concurrency: 2 }, () => {
  it("are all run here", () => {
    const files = readdirSync(examples).map((file) => file.replace(/\.ts$/, ""));
    assert.deepEqual(files.sort(), [...Object.keys(expected), "callbacks", "invoke"].sort());
  });

  for (const [name, lines] of Object.entries(expected)) {
    it(`${name} prints what it says`, async () => {
      await using api = await serveApi();
      assert.deepEqual(await run(name, api), lines);
    });
  }

  it("invoke calls a service over HTTP", async () => {
    const server = createServer(async (asked, answer) => {
      if (!asked.url?.startsWith("/charges")) {
        answer.writeHead(404).end("no such page");
        return;
      }
      answer.setHeader("content-type", "text/plain");
      answer.end(`${asked.method} ${asked.url} ${await text(asked)}`);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    {
      await using api = await serveApi({
        billing: { endpoints: [`127.0.0.1:${(server.address() as AddressInfo).port}`] },
      });
      assert.deepEqual(await run("invoke", api), [
        'billing answered POST /charges?dry=yes {"cents":5} as text/plain',
        "NOT_FOUND: 'billing' answered GET /nowhere with 404: no such page",
      ]);
    }
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it("callbacks serves events to the runtime and ends in order", async () => {
    await using api = await serveApi();
    const child = start("callbacks", { APP_GRPC_PORT: "0" });
    assert.ok(child.stdout);
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const address = /^serving callbacks on (\S+)$/.exec(String((await lines.next()).value))?.[1] ?? "";
    {
      const { log, said } = logUntil("the application is subscribed");
      const schedule = cronBinding.config.parse({ schedule: "@every 100ms" });
      await using clock = await cronBinding.open(schedule, openContext("example-clock"));
      const opened = { ...openedStore("example-clock", clock), capabilities: new Set(["input"]) };
      const stores = storeSet("binding", new Map([["example-clock", opened]]));
      await using _channel = new AppChannel({
        address,
        pubsub: api.blocks.pubsub,
        bindings: new BindingBlock({ stores, log: silentLog, metrics: new Metrics() }),
        maxMessageBytes: 4 * 1024 ** 2,
        log,
      });
      await using client = new OutriggerClient({ address: api.address });
      await said;
      await client.pubsub.publish({ pubsub: "events", topic: "example-orders", data: "an order" });
      const seen = new Set<string>();
      while (seen.size < 2) seen.add(String((await lines.next()).value).replace(/\d{4}-.*Z$/, "TIME"));
      assert.deepEqual([...seen].sort(), ["got an order", "the clock says TIME"]);
    }
    child.kill("SIGTERM");
    assert.deepEqual(await once(child, "exit"), [0, null]);
  });
});
