/** What pub/sub components do when a subscriber, a component or the server dies. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Deliver, PubSub, ReceivedMessage } from "../../components/pubsub/pubsub.ts";
import type { SubscriberTask } from "../support/subscriber.ts";
import { type Backend, bytesOf, callWith, eventually, placeFor, unique } from "./backend.ts";
import { killsServer, outageChecks, served, serverOf, whileAway } from "./outage.ts";

const durable = { needs: "durable" };
const subscriberProgram = fileURLToPath(new URL("../support/subscriber.ts", import.meta.url));

/** Registers the checks of what outlasts a death. */
export function durabilityChecks(backend: Backend<PubSub>): void {
  const { check, group } = backend.checks;

  group("messages that were published", () => {
    check("while no member of the group was there come to the next, also of another component", durable, async () => {
      await using place = await placeFor(backend);
      const topic = unique("topic");
      await using publisher = await place.open();
      {
        await using first = await place.open();
        await (await subscribe(first, topic, taking([])))[Symbol.asyncDispose]();
      }
      for (let index = 0; index < 10; index++) await publish(publisher, topic, `message ${index}`);
      await using second = await place.open();
      const texts: string[] = [];
      await using _ = await subscribe(second, topic, taking(texts));
      await eventually("all have come", () => new Set(texts).size === 10);
    });

    check("are shared by the members of a group in different components", { needs: "shared" }, async () => {
      await using place = await placeFor(backend);
      const topic = unique("topic");
      await using one = await place.open();
      await using other = await place.open();
      const texts: string[] = [];
      const ofAnother: string[] = [];
      await using _one = await subscribe(one, topic, taking(texts));
      await using _other = await subscribe(other, topic, taking(texts));
      await using _another = await subscribe(other, topic, taking(ofAnother), "another");
      const all = Array.from({ length: 40 }, (_, index) => `message ${index}`);
      for (const text of all) await publish(one, topic, text);
      await eventually("both groups have all", () => texts.length >= all.length && ofAnother.length >= all.length);
      assert.deepEqual(texts.toSorted(), all.toSorted());
      assert.deepEqual(ofAnother.toSorted(), all.toSorted());
    });

    check("come again when the process that had them was killed", durable, async () => {
      await using place = await placeFor(backend);
      const topic = unique("topic");
      const settings = (await backend.settings?.(place.directory)) ?? {};
      const task = { type: backend.definition.type, settings, directory: place.directory, topic, group: "group" };
      await using pubsub = await place.open();
      const subscriber = await startSubscriber(task);
      const all = ["first", "second", "third"];
      try {
        for (const text of all) await publish(pubsub, topic, text);
        await eventually("the subscriber has a message", () => subscriber.lines.includes("received first"));
      } finally {
        await subscriber.kill();
      }
      const texts: string[] = [];
      await using _ = await subscribe(pubsub, topic, taking(texts));
      await eventually("all have come to the next", () => new Set(texts).size === all.length);
    });

    check(
      "and acknowledged come after the server was killed in the middle",
      { ...durable, ...killsServer },
      async () => {
        await using place = await placeFor(backend);
        await using pubsub = await place.open();
        const topic = unique("topic");
        const texts: string[] = [];
        await using _ = await subscribe(pubsub, topic, taking(texts));
        const acknowledged: string[] = [];
        const publishAll = async (): Promise<void> => {
          for (let index = 0; index < 300; index++) {
            const text = `message ${index}`;
            if (index === 100) killed.resolve();
            await served(() => publish(pubsub, topic, text));
            acknowledged.push(text);
          }
        };
        const killed = Promise.withResolvers<void>();
        const publishing = publishAll();
        await killed.promise;
        const server = serverOf(backend);
        await server.kill();
        await server.start();
        await publishing;
        const missing = (): string[] => acknowledged.filter((text) => !texts.includes(text));
        await eventually("all that was acknowledged has come", () => missing().length === 0);
      },
    );

    check(
      "come again when the server was killed while they were worked on",
      { ...durable, ...killsServer },
      async () => {
        await using place = await placeFor(backend);
        await using pubsub = await place.open();
        const topic = unique("topic");
        const taken = new Set<string>();
        const began = Promise.withResolvers<void>();
        let isBack = false;
        await using _ = await subscribe(pubsub, topic, async (message) => {
          began.resolve();
          if (!isBack) throw new Error("not yet");
          taken.add(textOf(message));
        });
        const all = Array.from({ length: 5 }, (_, index) => `message ${index}`);
        for (const text of all) await publish(pubsub, topic, text);
        await began.promise;
        await whileAway(backend, async () => undefined);
        isBack = true;
        await eventually("all are taken", () => taken.size === all.length);
      },
    );
  });

  group("an outage:", () => {
    outageChecks(backend, async (pubsub) => publish(pubsub, unique("probe"), "probe"));

    check("subscriptions go on when the server is back", killsServer, async () => {
      await using place = await placeFor(backend);
      await using pubsub = await place.open();
      const [first, second] = [unique("topic"), unique("topic")];
      const texts: string[] = [];
      await using _first = await subscribe(pubsub, first, taking(texts));
      await using _second = await subscribe(pubsub, second, taking(texts));
      await whileAway(backend, async () => undefined);
      for (const topic of [first, second]) {
        // What is not durable may be lost until the subscription is there again.
        await eventually("a message has come", async () => {
          const text = unique("message");
          await served(() => publish(pubsub, topic, text));
          for (let patience = 0; patience < 20 && !texts.includes(text); patience++) {
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
          return texts.includes(text);
        });
      }
    });
  });
}

const subscribe = (pubsub: PubSub, topic: string, deliver: Deliver, group = "group"): Promise<AsyncDisposable> =>
  pubsub.subscribe({ topic, group, metadata: {} }, deliver);

const publish = (pubsub: PubSub, topic: string, text: string): Promise<void> =>
  pubsub.publish(
    { topic, data: bytesOf(text), contentType: "text/plain", metadata: {} },
    callWith(AbortSignal.timeout(20_000)),
  );

/** Takes every message and notes its text. */
const taking =
  (texts: string[]): Deliver =>
  async (message) => {
    texts.push(textOf(message));
  };

const textOf = ({ data }: ReceivedMessage): string => new TextDecoder().decode(data);

interface Subscriber {
  readonly lines: readonly string[];
  kill(): Promise<void>;
}

/** Resolves once it has subscribed. */
async function startSubscriber(task: SubscriberTask): Promise<Subscriber> {
  const child: ChildProcess = spawn(process.execPath, [subscriberProgram, JSON.stringify(task)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  let written = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    written += text;
  });
  const subscriber = {
    get lines() {
      return written.split("\n");
    },
    kill: () => {
      child.kill("SIGKILL");
      return ended;
    },
  };
  try {
    await eventually("the subscriber has subscribed", () => subscriber.lines.includes("subscribed"));
  } catch (error) {
    await subscriber.kill();
    throw error;
  }
  return subscriber;
}
