import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { type CallbackServer, OutriggerClient, serveCallbacks } from "../../sdk/index.ts";
import type { SoakLoad } from "./load.ts";

/** Names in the configuration of the soak. */
export const stores = { state: "soak", pubsub: "events", config: "settings" } as const;
const topic = "soak";
const keys = 1000;
const eventsOfSubscription = 10;

/** The application's end of the callbacks: tells who waits for an event that it came. */
export class Events implements AsyncDisposable {
  readonly #waiting = new Map<string, () => void>();
  #server: CallbackServer | undefined;

  static async open(): Promise<Events> {
    const events = new Events();
    events.#server = await serveCallbacks({
      port: 0,
      topics: { [`${stores.pubsub}/${topic}`]: async (event) => events.#came(event.data.text()) },
    });
    return events;
  }

  get address(): string {
    return this.#server?.address ?? "";
  }

  /** Resolves once the sidecar brings events: what is published before it has subscribed is gone. */
  async flow(client: OutriggerClient): Promise<void> {
    let isFlowing = false;
    const first = "first";
    void this.came(first).then(() => {
      isFlowing = true;
    });
    while (!isFlowing) {
      await client.pubsub.publish({ pubsub: stores.pubsub, topic, data: first });
      await setTimeout(10);
    }
  }

  /** Resolves when the event with the text has come. */
  came(text: string): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(text, resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
  }

  #came(text: string): "success" {
    this.#waiting.get(text)?.();
    this.#waiting.delete(text);
    return "success";
  }
}

/** What an application does over the gRPC API: unary calls, new connections, subscriptions, events by callback. */
export async function apiLoads(
  address: string,
  events: Events,
): Promise<{ readonly loads: SoakLoad[] } & AsyncDisposable> {
  const client = new OutriggerClient({ address });
  await events.flow(client);
  let number = 0;
  const loads: SoakLoad[] = [
    {
      name: "state",
      inFlight: 8,
      async once() {
        const key = `key-${number++ % keys}-${randomBytes(2).toString("hex")}`;
        const value = randomBytes(1 + (number % 2000));
        await client.state.save({ store: stores.state, key, value });
        const entry = await client.state.get({ store: stores.state, key });
        assert.deepEqual(Buffer.from(entry?.value.bytes() ?? []), value, `the value of ${key}`);
        await client.state.delete({ store: stores.state, key });
      },
    },
    {
      name: "connections",
      inFlight: 1,
      async once() {
        await using guest = new OutriggerClient({ address });
        assert.match(await guest.hello({ name: "soak" }), /soak/);
      },
    },
    {
      name: "subscriptions",
      inFlight: 2,
      async once() {
        const own = `topic-${number++}`;
        await using subscription = await client.pubsub.subscribe({ pubsub: stores.pubsub, topic: own });
        for (let event = 0; event < eventsOfSubscription; event++) {
          await client.pubsub.publish({ pubsub: stores.pubsub, topic: own, data: `${own}-${event}` });
        }
        const got = new Set<string>();
        for await (const event of subscription) {
          got.add(event.data.text());
          await event.ack();
          if (got.size === eventsOfSubscription) break;
        }
      },
    },
    {
      name: "callbacks",
      inFlight: 4,
      async once() {
        const data = `event-${number++}`;
        const came = events.came(data);
        await client.pubsub.publish({ pubsub: stores.pubsub, topic, data });
        await came;
      },
    },
  ];
  return { loads, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() };
}
