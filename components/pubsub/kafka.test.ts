import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { PubSubBlock } from "../../runtime/api/pubsub.ts";
import { storeSet } from "../../runtime/api/stores.ts";
import { Metrics } from "../../runtime/telemetry/metrics.ts";
import { bytesOf, callWith, eventually, unique } from "../../test/conformance/backend.ts";
import { oneStore, silentLog } from "../../test/support/api.ts";
import { selfSigned } from "../../test/support/certificate.ts";
import type { LeaverTask } from "../../test/support/kafka-leaver.ts";
import { type KafkaServer, startKafka } from "../../test/support/kafka-server.ts";
import { openContext } from "../../test/support/open-context.ts";
import { ProgramMissing } from "../../test/support/programs.ts";
import { suspend } from "../../test/support/suspend.ts";
import { RuntimeError } from "../error.ts";
import { kafkaPubSub } from "./kafka.ts";
import type { Deliver, PubSub } from "./pubsub.ts";

const leaverProgram = fileURLToPath(new URL("../../test/support/kafka-leaver.ts", import.meta.url));
const password = "open-sesame-4711";
const certificate = selfSigned();
const users = { alice: password };

const missing = await startKafka("4.4.0", { certificate, users }).then(
  (started) => ({ started }),
  (error: unknown) => {
    if (!(error instanceof ProgramMissing) || process.env.CI === "true") throw error;
    return { skip: error.message };
  },
);
const skip = "skip" in missing ? missing.skip : false;

describe("pub/sub on Kafka", { skip }, () => {
  let server: KafkaServer;
  let directory: string;
  let ca: string;
  let key: string;
  const written: string[] = [];
  const note = (fields: object, message: string): void => {
    written.push(`${message} ${JSON.stringify(fields)}`);
  };
  const open = (settings: object): Promise<PubSub> => {
    const fast = { connectTimeoutMs: 5_000, sessionTimeoutMs: 3_000, heartbeatIntervalMs: 200 };
    return kafkaPubSub.open(
      kafkaPubSub.config.parse({ ...fast, ...settings }),
      openContext("events", { log: { debug: note, info: note, warn: note, error: note } }),
    );
  };
  const publish = (pubsub: PubSub, topic: string, text: string, metadata: Record<string, string> = {}) =>
    pubsub.publish({ topic, data: bytesOf(text), contentType: "text/plain", metadata }, callWith());
  const subscribe = (pubsub: PubSub, topic: string, deliver: Deliver) =>
    pubsub.subscribe({ topic, group: "group", metadata: {} }, deliver);
  const brokers = () => [server.address];

  before(async () => {
    if (!("started" in missing)) return;
    server = missing.started;
    directory = await mkdtemp(join(tmpdir(), "outrigger-kafka-tls-"));
    ca = join(directory, "ca.pem");
    key = join(directory, "key.pem");
    await writeFile(ca, certificate.cert);
    await writeFile(key, certificate.key);
  });
  after(async () => {
    await server?.[Symbol.asyncDispose]();
    if (directory !== undefined) await rm(directory, { recursive: true });
  });

  const delivers = async (settings: object): Promise<void> => {
    await using pubsub = await open(settings);
    const topic = unique("topic");
    const texts: string[] = [];
    await using _ = await subscribe(pubsub, topic, async ({ data }) => {
      texts.push(Buffer.from(data).toString());
    });
    await publish(pubsub, topic, "hello");
    await eventually("it has come", () => texts.length > 0);
    assert.deepEqual(texts, ["hello"]);
  };

  for (const mechanism of ["plain", "scram-sha-256", "scram-sha-512"]) {
    it(`proves the password by ${mechanism}, over TLS`, async () => {
      const sasl = { mechanism, username: "alice", password };
      await delivers({ brokers: [server.secureAddress], sasl, tls: { ca } });
    });

    it(`does not open with a wrong password by ${mechanism}, and does not repeat it`, async () => {
      const sasl = { mechanism, username: "alice", password: "wrong-secret" };
      const error = await rejection(open({ brokers: [server.secureAddress], sasl, tls: { ca } }));
      assert.equal(error.code, "UNAUTHENTICATED");
      assert.match(error.message, /the Kafka of 'events' refuses user and password; correct sasl/);
      assert.ok(!`${error.stack}${JSON.stringify(error)}`.includes("wrong-secret"));
    });
  }

  it("shows a certificate", async () => {
    await delivers({ brokers: [server.mutualAddress], tls: { ca, cert: ca, key } });
  });

  it("does not open without the certificate that is asked for", async () => {
    const error = await rejection(open({ brokers: [server.mutualAddress], tls: { ca }, connectTimeoutMs: 1_000 }));
    assert.match(error.message, /the Kafka of 'events'/);
  });

  it("does not open before brokers that it does not trust", async () => {
    const sasl = { username: "alice", password };
    const error = await rejection(open({ brokers: [server.secureAddress], sasl, tls: {} }));
    assert.equal(error.code, "FAILED_PRECONDITION");
    assert.match(error.message, /correct tls/);
  });

  it("keeps passwords out of its log", () => {
    assert.ok(written.length > 0);
    for (const line of written) assert.ok(!line.includes(password) && !line.includes("wrong-secret"), line);
  });

  it("refuses a name that no topic can have, and says which can", async () => {
    await using pubsub = await open({ brokers: brokers() });
    for (const name of ["a b", "ключ", "x".repeat(250), "..", ""]) {
      for (const attempt of [publish(pubsub, name, "text"), subscribe(pubsub, name, async () => undefined)]) {
        const error = await rejection(attempt);
        assert.equal(error.code, "INVALID_ARGUMENT");
        assert.match(error.message, /1 to 249 of the characters/);
      }
    }
  });

  it("has no subscription with a dead-letter topic that cannot be one", async () => {
    await using pubsub = await open({ brokers: brokers() });
    const stores = storeSet("pubsub", oneStore("events", pubsub));
    const block = new PubSubBlock({ stores, appId: "app", log: silentLog, metrics: new Metrics() });
    const subscription = { pubsub: "events", topic: unique("topic"), metadata: { deadLetterTopic: "bad topic!" } };
    const error = await rejection(block.subscribe(subscription, async () => "drop"));
    assert.equal(error.code, "INVALID_ARGUMENT");
    assert.equal(error.reason, "KAFKA_TOPIC_NAME");
    assert.match(error.message, /'bad topic!' cannot be a topic/);
  });

  it("refuses a topic that is not there when it may not create it", async () => {
    await using pubsub = await open({ brokers: brokers(), createTopics: false });
    assert.equal((await rejection(publish(pubsub, unique("topic"), "text"))).code, "NOT_FOUND");
    assert.equal((await rejection(subscribe(pubsub, unique("topic"), async () => undefined))).code, "NOT_FOUND");
  });

  it("keeps the messages of a key in order, and shares partitions among the members of a group", async () => {
    const settings = { brokers: brokers(), partitions: 3 };
    await using one = await open(settings);
    await using other = await open(settings);
    const topic = unique("topic");
    const byKey = new Map<string, string[]>();
    const members = new Set<string>();
    const noting =
      (member: string): Deliver =>
      async ({ data, metadata }) => {
        members.add(member);
        const key = metadata.key ?? "";
        byKey.set(key, [...(byKey.get(key) ?? []), Buffer.from(data).toString()]);
      };
    await using _one = await subscribe(one, topic, noting("one"));
    await using _other = await subscribe(other, topic, noting("other"));
    const keys = Array.from({ length: 12 }, (_, index) => `key ${index}`);
    const texts = Array.from({ length: 20 }, (_, index) => `message ${index}`);
    for (const text of texts) {
      await Promise.all(keys.map((partitionKey) => publish(one, topic, text, { partitionKey })));
    }
    await eventually("all have come", () => [...byKey.values()].flat().length >= keys.length * texts.length);
    assert.deepEqual(byKey, new Map([...byKey.keys()].map((key) => [key, texts])));
    assert.equal(members.size, 2);
  });

  it("lets other partitions go on while one waits with a message that is rejected again and again", async () => {
    await using pubsub = await open({ brokers: brokers(), partitions: 3 });
    const topic = unique("topic");
    const taken = new Set<string>();
    let rejections = 0;
    await using _ = await subscribe(pubsub, topic, async ({ data }) => {
      const text = Buffer.from(data).toString();
      if (text === "poison" && ++rejections < 8) throw new Error("the handler failed");
      taken.add(text);
    });
    await publish(pubsub, topic, "poison", { partitionKey: "poisoned" });
    await eventually("it rests", () => rejections >= 6);
    for (let index = 0; index < 12; index++) await publish(pubsub, topic, `${index}`, { partitionKey: `key ${index}` });
    await eventually("others were taken", () => taken.size > 0);
    assert.ok(!taken.has("poison"));
    await eventually("all were taken", () => taken.size === 13);
  });

  it("refuses a message that is too large, and none that was published beside it", async () => {
    await using pubsub = await open({ brokers: brokers(), maxMessageBytes: 10_000 });
    const topic = unique("topic");
    const texts = ["small", "x".repeat(20_000), "also small"];
    const outcomes = await Promise.allSettled(texts.map((text) => publish(pubsub, topic, text)));
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    const error = await rejection(publish(pubsub, topic, "x".repeat(20_000)));
    assert.match(error.message, /takes no message of that size/);
  });

  it("refuses to publish more bytes than may wait to be sent", async () => {
    await using pubsub = await open({ brokers: brokers(), maxPendingBytes: 100_000 });
    const topic = unique("topic");
    const outcomes = await Promise.allSettled(
      Array.from({ length: 5 }, () => publish(pubsub, topic, "x".repeat(40_000))),
    );
    const refused = outcomes.filter((one) => one.status === "rejected");
    assert.equal(refused.length, 3);
    for (const { reason } of refused) assert.equal(reason.code, "RESOURCE_EXHAUSTED");
    await publish(pubsub, topic, "there is room again");
  });

  it("refuses to publish to a topic of the brokers' own", async () => {
    await using pubsub = await open({ brokers: brokers() });
    await using _ = await subscribe(pubsub, unique("topic"), async () => undefined);
    const error = await rejection(publish(pubsub, "__consumer_offsets", "text"));
    assert.equal(error.code, "INVALID_ARGUMENT");
    assert.equal(error.reason, "KAFKA_TOPIC_NAME");
  });

  it("closes while the broker hangs, and leaves nothing that keeps the process", async () => {
    const settings = { brokers: brokers(), sessionTimeoutMs: 3_000, heartbeatIntervalMs: 200 };
    const task: LeaverTask = { settings, topic: unique("topic") };
    const child = spawn(process.execPath, [leaverProgram, JSON.stringify(task)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    try {
      await eventually("it has used the broker", () => said === "used\n");
      await suspend(server.process.pid);
      child.stdin.write("the broker hangs\n");
      await eventually("it has ended", () => child.exitCode !== null);
    } finally {
      server.process.kill("SIGCONT");
      child.kill("SIGKILL");
    }
    assert.equal(child.exitCode, 0);
    assert.equal(said, "used\nnot answered\nclosed\nended\n");
  });
});

async function rejection(work: Promise<unknown>): Promise<RuntimeError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof RuntimeError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: "it did not reject" });
}
