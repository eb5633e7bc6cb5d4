/** The parts under a bucket: its sweep, its scan, and the server's clock. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually } from "../../test/conformance/backend.ts";
import { type NatsServer, startNats } from "../../test/support/nats-server.ts";
import { openContext } from "../../test/support/open-context.ts";
import { openNats } from "./nats.ts";
import { NatsBucket } from "./nats-bucket.ts";
import { NatsClock } from "./nats-clock.ts";
import { positionOf, scan } from "./nats-scan.ts";
import { natsSettings } from "./nats-settings.ts";
import { NatsSweep } from "./nats-sweep.ts";

describe("a bucket of NATS", () => {
  let server: NatsServer;
  before(async () => {
    server = await startNats();
  });
  after(() => server[Symbol.asyncDispose]());
  const open = async (bucket: string): Promise<NatsBucket> => {
    const connection = await openNats(natsSettings.parse({ servers: [server.address] }), openContext("bucket"));
    const settings = { bucket, storage: "file", replicas: 1, maxBytes: 1024 ** 3 } as const;
    return NatsBucket.open(connection, settings, { expires: true });
  };
  const subjectsIn = async (bucket: NatsBucket): Promise<string[]> => {
    const subjects: string[] = [];
    for await (const batch of scan(bucket.jetStream, { stream: bucket.stream, filter: bucket.subjectOf(">") })) {
      subjects.push(...batch.map(({ subject }) => subject));
    }
    return subjects;
  };

  it("loses to a sweep what is over, piece by piece, and nothing else", async () => {
    await using bucket = await open("swept");
    for (let index = 0; index < 30; index++) {
      await bucket.put(`key-${index}`, "x", index % 3 === 0 ? { ttlMs: 1 } : {});
    }
    await using sweep = new NatsSweep(bucket.jetStream, {
      stream: bucket.stream,
      filter: bucket.subjectOf(">"),
      mostAtATime: 10,
      isOver: (message, writtenAtMs) => bucket.isOver(message, writtenAtMs),
      remove: (revision) => bucket.remove(revision),
    });
    const sizes: number[] = [];
    await eventually("the first have expired", async () => (await bucket.get("key-27", "leader")).entry === undefined);
    for (let round = 0; round < 4; round++) {
      await sweep.sweep();
      sizes.push((await subjectsIn(bucket)).filter((subject) => subject.includes("key-")).length);
    }
    assert.equal(sizes.at(-1), 20);
    assert.ok((sizes[0] ?? 0) > 20, "one sweep looks at a piece only");
    for (let index = 0; index < 30; index++) {
      assert.equal((await bucket.get(`key-${index}`, "leader")).entry === undefined, index % 3 === 0);
    }
  });

  it("is scanned in order, in more than one batch, from where one wants", async () => {
    await using bucket = await open("scanned");
    await Promise.all(Array.from({ length: 700 }, (_, index) => bucket.put(`key.${index}`, "x".repeat(100))));
    const all = { stream: bucket.stream, filter: bucket.subjectOf("key.*") };
    const sequences: number[] = [];
    for await (const batch of scan(bucket.jetStream, all)) {
      sequences.push(...batch.map((message) => positionOf(message).sequence));
    }
    assert.equal(sequences.length, 700);
    assert.deepEqual(
      sequences,
      sequences.toSorted((a, b) => a - b),
    );
    const from = sequences[600] ?? 0;
    const rest: number[] = [];
    for await (const batch of scan(bucket.jetStream, { ...all, from, most: 50, headersOnly: true })) {
      for (const message of batch) {
        rest.push(positionOf(message).sequence);
        assert.equal(message.data.length, 0);
        assert.ok(Math.abs(positionOf(message).writtenAtMs - Date.now()) < 60_000);
      }
    }
    assert.deepEqual(rest, sequences.slice(600, 650));
  });

  it("has the server's time", async () => {
    await using bucket = await open("timed");
    assert.ok(Math.abs(bucket.now() - Date.now()) < 5_000);
  });
});

describe("the clock of a server", () => {
  it("goes on between two looks, and is not led astray by the machine's own", async (test) => {
    using clock = await NatsClock.open(async () => 1_000_000);
    const first = clock.now();
    assert.ok(Math.abs(first - 1_000_000) < 1_000);
    test.mock.method(Date, "now", () => 0);
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.ok(clock.now() > first);
  });
});
