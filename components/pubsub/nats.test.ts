/** What topics on NATS do beside what all topics do: other clients of NATS, long work, limits of the stream. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect, type NatsConnection } from "nats";
import { callWith, eventually, oddNames, unique } from "../../test/conformance/backend.ts";
import { type NatsServer, startNats } from "../../test/support/nats-server.ts";
import { openContext } from "../../test/support/open-context.ts";
import type { OpenContext } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { natsPubSub } from "./nats.ts";
import type { Deliver, PubSub, ReceivedMessage } from "./pubsub.ts";

let server: NatsServer;
let other: NatsConnection;
before(async () => {
  server = await startNats();
  other = await connect({ servers: server.address });
});
after(async () => {
  await other.close();
  await server[Symbol.asyncDispose]();
});

const open = (settings: object = {}, changes: Partial<OpenContext> = {}): Promise<PubSub> =>
  natsPubSub.open(natsPubSub.config.parse({ servers: [server.address], ...settings }), openContext("events", changes));
const publish = (pubsub: PubSub, topic: string, text: string): Promise<void> =>
  pubsub.publish({ topic, data: Buffer.from(text), contentType: "text/plain", metadata: {} }, callWith());
const recorded = () => {
  const warnings: string[] = [];
  const warn = (_fields: object, message: string): void => void warnings.push(message);
  return { warnings, log: { debug: () => undefined, info: () => undefined, warn, error: warn } };
};
const subscribe = (pubsub: PubSub, topic: string, deliver: Deliver): Promise<AsyncDisposable> =>
  pubsub.subscribe({ topic, group: "group", metadata: {} }, deliver);
const textOf = ({ data }: ReceivedMessage): string => Buffer.from(data).toString();

for (const durable of [true, false]) {
  describe(durable ? "topics in JetStream" : "topics on core NATS", () => {
    it("are subjects that other clients of NATS publish to and listen to", async () => {
      await using pubsub = await open({ durable });
      const topic = `${unique("orders")}.created`;
      const messages: ReceivedMessage[] = [];
      await using _ = await subscribe(pubsub, topic, async (message) => {
        messages.push(message);
      });
      const heard: string[] = [];
      const listener = other.subscribe(`outrigger.${topic}`, {
        callback: (_error, message) => heard.push(`${message.headers?.get("Content-Type")} ${message.string()}`),
      });
      await other.flush();
      await publish(pubsub, topic, "from us");
      other.publish(`outrigger.${topic}`, "from another");
      await eventually("both have come", () => messages.length === 2 && heard.length === 2);
      listener.unsubscribe();
      assert.deepEqual(messages.map(textOf), ["from us", "from another"]);
      assert.equal(messages[1]?.contentType, "application/octet-stream");
      assert.ok(messages[1]?.id !== "" && messages[1]?.id !== messages[0]?.id);
      assert.equal(heard[0], "text/plain from us");
    });

    it("of odd names are kept apart, wildcards among them", async () => {
      await using pubsub = await open({ durable, prefetch: 4 });
      const run = unique("odd");
      const names = [...oddNames, "*", ">", "a.*", "a.b", ".", "", " "].map((name) =>
        name === ">" ? name : run + name,
      );
      await using subscriptions = new AsyncDisposableStack();
      const received = new Map<string, string[]>();
      for (const name of names) {
        const texts: string[] = [];
        received.set(name, texts);
        const subscription = await subscribe(pubsub, name, async (message) => {
          assert.equal(message.topic, name);
          texts.push(textOf(message));
        });
        subscriptions.use(subscription);
      }
      for (const name of names) await publish(pubsub, name, `to ${name}`);
      await eventually("all have come", () => [...received.values()].every(({ length }) => length > 0));
      for (const [name, texts] of received) assert.deepEqual(texts, [`to ${name}`]);
    });

    it("say how long a message may be when one is longer", async () => {
      await using pubsub = await open({ durable });
      const topic = unique("topic");
      await assert.rejects(publish(pubsub, topic, "x".repeat(8 * 1024 ** 2)), (error) => {
        return (
          error instanceof RuntimeError && error.code === "RESOURCE_EXHAUSTED" && /max_payload/.test(error.message)
        );
      });
    });
  });
}

describe("metadata", () => {
  const withMetadata = (pubsub: PubSub, topic: string, bytes: number): Promise<void> => {
    const metadata = { note: "x".repeat(bytes) };
    return pubsub.publish({ topic, data: Buffer.from("x"), contentType: "text/plain", metadata }, callWith());
  };

  it("that JetStream has no room for is refused with a sentence, and what fits comes", async () => {
    await using pubsub = await open();
    const topic = unique("metadata");
    const notes: (string | undefined)[] = [];
    await using _ = await subscribe(pubsub, topic, async ({ metadata }) => {
      notes.push(metadata.note);
    });
    for (const bytes of [65_450, 65_536, 500_000]) {
      await assert.rejects(withMetadata(pubsub, topic, bytes), (error) => {
        assert.ok(error instanceof RuntimeError);
        assert.deepEqual([error.code, error.reason], ["RESOURCE_EXHAUSTED", "NATS_TOO_LARGE"]);
        assert.match(error.message, /^the metadata of the message to topic .* send less metadata/);
        return true;
      });
    }
    await withMetadata(pubsub, topic, 65_300);
    await eventually("it has come", () => notes.length === 1);
    assert.equal(notes[0]?.length, 65_300);
  });

  it("may be longer on core NATS", async () => {
    await using pubsub = await open({ durable: false });
    await withMetadata(pubsub, unique("metadata"), 500_000);
  });
});

describe("a subscriber to JetStream", () => {
  it("that works longer than others wait for it keeps its message, and those behind it", async () => {
    await using pubsub = await open({ ackWaitMs: 300 });
    const topic = unique("long");
    const deliveries: string[] = [];
    const enough = Promise.withResolvers<void>();
    await using _ = await subscribe(pubsub, topic, async (message) => {
      deliveries.push(`one ${textOf(message)}`);
      await enough.promise;
    });
    for (const text of ["a", "b", "c"]) await publish(pubsub, topic, text);
    await eventually("it is at work", () => deliveries.length > 0);
    await using _second = await subscribe(pubsub, topic, async (message) => {
      deliveries.push(`two ${textOf(message)}`);
    });
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    assert.deepEqual(deliveries, ["one a"]);
    enough.resolve();
    await eventually("it has all of them", () => deliveries.length === 3);
    assert.deepEqual(deliveries, ["one a", "one b", "one c"]);
  });

  it("is given what it took no second time when the server did not hear of it", async () => {
    await using own = await startNats();
    const told: string[] = [];
    const reachability = { down: () => void told.push("down"), up: () => void told.push("up") };
    await using pubsub = await open({ servers: [own.address], ackWaitMs: 300 }, { reachability });
    const topic = unique("unheard");
    const texts: string[] = [];
    const began = Promise.withResolvers<void>();
    const lost = Promise.withResolvers<void>();
    await using _ = await subscribe(pubsub, topic, async (message) => {
      texts.push(textOf(message));
      began.resolve();
      await lost.promise;
    });
    for (const text of ["a", "b"]) await publish(pubsub, topic, text);
    await began.promise;
    await own.kill();
    await eventually("it is lost", () => told.includes("down"));
    lost.resolve();
    await eventually("both are taken without the server", () => texts.length === 2);
    await own.start();
    await eventually("it is back", () => told.includes("up"));
    await eventually("it serves", async () => {
      const outcome = await Promise.allSettled([publish(pubsub, topic, "c")]);
      return outcome[0].status === "fulfilled";
    });
    await eventually("the next has come", () => texts.includes("c"));
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert.deepEqual(new Set(texts.slice(0, 2)), new Set(["a", "b"]));
    assert.equal(texts.filter((text) => text !== "c").length, 2);
  });

  it("works on so many messages at once as it may", async () => {
    await using pubsub = await open({ concurrency: 5, prefetch: 0 });
    const topic = unique("concurrent");
    let atWork = 0;
    let most = 0;
    let taken = 0;
    const enough = Promise.withResolvers<void>();
    await using _ = await subscribe(pubsub, topic, async () => {
      most = Math.max(most, ++atWork);
      await enough.promise;
      atWork--;
      taken++;
    });
    for (let index = 0; index < 20; index++) await publish(pubsub, topic, String(index));
    await eventually("five are worked on", () => atWork === 5);
    enough.resolve();
    await eventually("all are taken", () => taken === 20);
    assert.equal(most, 5);
  });
});

describe("a stream", () => {
  it("that its server has lost is made anew with the groups, and loses nothing that is taken from then on", async () => {
    await using own = await startNats();
    const { warnings, log } = recorded();
    await using pubsub = await open({ servers: [own.address] }, { log });
    await using subscriptions = new AsyncDisposableStack();
    const topics = ["a", "b", "c"];
    const came = new Set<string>();
    for (const topic of topics) {
      const subscription = await subscribe(pubsub, topic, async (message) => {
        came.add(`${topic} ${textOf(message)}`);
      });
      subscriptions.use(subscription);
    }
    for (let round = 1; round <= 3; round++) {
      await own.kill();
      await rm(join(own.directory, "jetstream"), { recursive: true });
      await own.start();
      const acknowledged: string[] = [];
      await eventually("the first of each is acknowledged", async () => {
        const tries = topics.map(async (topic, index) => {
          const text = `${round} ${acknowledged.length} ${index}`;
          await publish(pubsub, topic, text);
          acknowledged.push(`${topic} ${text}`);
        });
        return (await Promise.allSettled(tries)).every(({ status }) => status === "fulfilled");
      });
      await eventually("all that was acknowledged has come", () => acknowledged.every((text) => came.has(text)));
      assert.equal(warnings.filter((text) => text.includes("made anew")).length, round);
    }
  });

  it("that is full refuses what is published, and loses nothing that was not taken", async () => {
    const stream = unique("full");
    await using pubsub = await open({ stream, subjectPrefix: stream, maxBytes: 1024 ** 2 });
    const topic = "topic";
    await (await subscribe(pubsub, topic, async () => undefined))[Symbol.asyncDispose]();
    let published = 0;
    const fill = async (): Promise<void> => {
      for (; published < 100; published++) await publish(pubsub, topic, `${published} ${"x".repeat(50_000)}`);
    };
    await assert.rejects(fill(), (error) => error instanceof RuntimeError && error.code === "RESOURCE_EXHAUSTED");
    const numbers = new Set<number>();
    await using _ = await subscribe(pubsub, topic, async (message) => {
      numbers.add(Number.parseInt(textOf(message), 10));
    });
    await eventually("all that was published has come", () => numbers.size === published);
    await eventually("there is room again", async () => {
      const outcome = await Promise.allSettled([publish(pubsub, topic, "1000")]);
      return outcome[0].status === "fulfilled";
    });
  });

  it("keeps nothing that every group has taken, and nothing for nobody", async () => {
    const stream = unique("empty");
    await using pubsub = await open({ stream, subjectPrefix: stream });
    let taken = 0;
    await using _ = await subscribe(pubsub, "topic", async () => {
      taken++;
    });
    for (let index = 0; index < 20; index++) await publish(pubsub, "topic", String(index));
    await publish(pubsub, "another", "to nobody");
    const manager = await other.jetstreamManager();
    await eventually("the stream is empty", async () => {
      return taken === 20 && (await manager.streams.info(stream)).state.messages === 0;
    });
  });

  it("that was made for other subjects is refused, and one by other rules is used as it is", async () => {
    const manager = await other.jetstreamManager();
    const [foreign, older] = [unique("foreign"), unique("older")];
    await manager.streams.add({ name: foreign, subjects: [`${foreign}.a`] });
    await assert.rejects(open({ stream: foreign, subjectPrefix: foreign }), (error) => {
      return error instanceof RuntimeError && error.code === "FAILED_PRECONDITION" && error.message.includes(foreign);
    });
    await (await open({ stream: older, subjectPrefix: older }))[Symbol.asyncDispose]();
    const { warnings, log } = recorded();
    await using pubsub = await open({ stream: older, subjectPrefix: older, maxAgeMs: 60_000 }, { log });
    assert.match(warnings.join(), /made with other settings/);
    await publish(pubsub, "topic", "x");
  });

  it("in memory is made again, with its groups, when its server was away", async () => {
    await using own = await startNats();
    await using pubsub = await open({ servers: [own.address], storage: "memory" });
    const texts: string[] = [];
    await using _ = await subscribe(pubsub, "topic", async (message) => {
      texts.push(textOf(message));
    });
    await own.kill();
    await own.start();
    await eventually("a message has come", async () => {
      await Promise.allSettled([publish(pubsub, "topic", "again")]);
      return texts.includes("again");
    });
  });
});
