import { setTimeout as delay } from "node:timers/promises";
import { RuntimeError } from "../error.ts";
import { backOffMs } from "./back-off.ts";
import { KafkaSession, rebalanceMs, type SessionOptions } from "./kafka-session.ts";

/** Longest wait between one membership and the next. */
const longestBackOffMs = 5_000;

/** A subscription that joins its group again whenever it was thrown out, until it is disposed. */
export class KafkaSubscription implements AsyncDisposable {
  readonly #options: SessionOptions;
  readonly #stopping = new AbortController();
  readonly #ready = Promise.withResolvers<void>();
  #isReady = false;
  #running: Promise<void> = Promise.resolve();

  private constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Resolves once messages that are published from now on will be delivered. */
  static async open(options: SessionOptions): Promise<KafkaSubscription> {
    const { connection, settings, topic } = options;
    connection.requireName(topic);
    connection.requireReachable();
    const subscription = new KafkaSubscription(options);
    const longestMs = settings.sessionTimeoutMs + rebalanceMs + connection.settings.requestTimeoutMs;
    const timer = setTimeout(() => {
      const message = `the Kafka of '${connection.name}' did not let a subscriber of '${topic}' in within ${longestMs} ms`;
      subscription.#ready.reject(new RuntimeError("UNAVAILABLE", "KAFKA_NO_GROUP", message));
    }, longestMs);
    subscription.#running = subscription.#run();
    try {
      await subscription.#ready.promise;
      return subscription;
    } catch (error) {
      await subscription[Symbol.asyncDispose]();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { connection, topic, groupId } = this.#options;
    const { signal } = this.#stopping;
    const stopped = new Promise<"stopped">((resolve) => {
      signal.addEventListener("abort", () => resolve("stopped"), { once: true });
    });
    for (let attempt = 1; !signal.aborted; attempt++) {
      const startedAtMs = performance.now();
      const cause = await this.#session(stopped).catch((error: unknown) => error);
      if (signal.aborted) return;
      if (performance.now() - startedAtMs > longestBackOffMs) attempt = 1;
      const failure = connection.failed(cause);
      if (failure.code !== "UNAVAILABLE" || connection.isDown) this.#ready.reject(failure);
      connection.forgetTopic(topic);
      const fields = { topic, group: groupId, why: failure.message };
      if (this.#isReady) connection.log.warn(fields, "a subscription lost its place in its group; it joins again");
      else connection.log.debug(fields, "a subscription could not join its group; it tries again");
      const waitMs = backOffMs(attempt, { firstMs: 100, longestMs: longestBackOffMs });
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Resolves to what ended it. */
  async #session(stopped: Promise<"stopped">): Promise<unknown> {
    const { connection, topic } = this.#options;
    if ((await Promise.race([connection.ensureTopic(topic), stopped])) === "stopped") return undefined;
    await using session = new KafkaSession(this.#options);
    const joined = (): void => {
      this.#isReady = true;
      this.#ready.resolve();
    };
    session.joined.then(joined, () => undefined);
    session.start();
    return await Promise.race([session.ended, stopped]);
  }
}
