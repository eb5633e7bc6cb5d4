import { setTimeout as delay } from "node:timers/promises";
import { RuntimeError } from "../../components/error.ts";
import type { PubSubBlock, TopicSubscription } from "../api/pubsub.ts";
import type { EventHandler } from "../api/pubsub-delivery.ts";
import { unlessAborted } from "../api/unless-aborted.ts";
import { GrpcChannel } from "../grpc/client-channel.ts";
import type { Log } from "../telemetry/log.ts";
import type { CallbackProtocol } from "./callback-protocol.ts";
import { layottoCallbacks } from "./layotto-callbacks.ts";

export interface AppChannelOptions {
  /** `host:port` or `unix:/path` where the application serves the callbacks. */
  readonly address: string;
  readonly pubsub: PubSubBlock;
  readonly maxMessageBytes: number;
  /** Longest wait for the answer to an event; then it is delivered again. Default a minute. */
  readonly eventTimeoutMs?: number;
  /**
   * How long the subscriptions of an application that is gone are kept, so that it finds its events when it was only
   * restarted; later they are left to its other instances. Default 10 seconds.
   */
  readonly absenceMs?: number;
  readonly log: Log;
}

const firstWaitMs = 100;
const longestWaitMs = 5_000;

/** A subscription that the application asked for, by the protocol it asked in. */
interface Wanted {
  readonly protocol: CallbackProtocol;
  readonly subscription: TopicSubscription;
}

/**
 * The channel to the application's gRPC callbacks. It asks which topics the application wants until it answers, asks again
 * each time the application comes back, and delivers their events while it is there. Disposing unsubscribes and closes.
 */
export class AppChannel implements AsyncDisposable {
  readonly #options: AppChannelOptions;
  readonly #channel: GrpcChannel;
  readonly #protocols: readonly CallbackProtocol[];
  readonly #stopping = new AbortController();
  readonly #subscriptions = new Map<string, AsyncDisposable>();
  readonly #running: Promise<void>;
  /** Resolved while the application is there. */
  #present = Promise.withResolvers<void>();
  #closed: Promise<void> | undefined;

  constructor(options: AppChannelOptions) {
    const { address, maxMessageBytes, eventTimeoutMs = 60_000, log } = options;
    this.#options = options;
    this.#channel = new GrpcChannel({
      address,
      maxMessageBytes,
      firstBackoffMs: firstWaitMs,
      longestBackoffMs: longestWaitMs,
    });
    this.#protocols = [layottoCallbacks({ channel: this.#channel, maxMessageBytes, eventTimeoutMs, log })];
    this.#running = this.#run();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#unsubscribe(() => true);
    await this.#channel[Symbol.asyncDispose]();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { absenceMs = 10_000 } = this.#options;
    let waitMs = firstWaitMs;
    let seenAtMs = performance.now();
    while (!signal.aborted) {
      const wanted = await this.#ask();
      if (wanted !== undefined) {
        const cameAtMs = performance.now();
        await this.#serve(wanted);
        seenAtMs = performance.now();
        // One that hangs up at once is not asked more and more often.
        if (seenAtMs - cameAtMs > longestWaitMs) waitMs = firstWaitMs;
      } else if (performance.now() - seenAtMs > absenceMs && this.#subscriptions.size > 0) {
        this.#options.log.warn(
          { application: this.#options.address },
          "the application is gone; its events wait for it",
        );
        await this.#unsubscribe(() => true);
      }
      await this.#pause(waitMs);
      waitMs = Math.min(2 * waitMs, longestWaitMs);
    }
  }

  /** What the application wants, in every protocol that it speaks; undefined while it is not there. */
  async #ask(): Promise<Map<string, Wanted> | undefined> {
    const wanted = new Map<string, Wanted>();
    try {
      for (const protocol of this.#protocols) {
        for (const subscription of (await protocol.subscriptions(this.#stopping.signal)) ?? []) {
          const { pubsub, topic, metadata } = subscription;
          wanted.set(JSON.stringify([protocol.name, pubsub, topic, metadata]), { protocol, subscription });
        }
      }
      return wanted;
    } catch (error) {
      const fields = { err: error, application: this.#options.address };
      this.#options.log.debug(fields, "the application does not say its subscriptions yet");
      return undefined;
    }
  }

  /** Delivers until the application is gone. */
  async #serve(wanted: ReadonlyMap<string, Wanted>): Promise<void> {
    const gone = new AbortController();
    const disconnected = this.#channel.untilDisconnected(this.#stopping.signal).then(() => gone.abort());
    this.#present.resolve();
    await this.#unsubscribe((key) => !wanted.has(key));
    const refused = new Set<string>();
    for (let waitMs = firstWaitMs; !(await this.#subscribe(wanted, refused)); ) {
      await delay(waitMs, undefined, { signal: gone.signal }).catch(() => undefined);
      waitMs = Math.min(2 * waitMs, longestWaitMs);
      if (gone.signal.aborted) break;
    }
    await disconnected;
    // While it closes, the events that the application has are still answered.
    if (!this.#stopping.signal.aborted) this.#present = Promise.withResolvers();
  }

  /** Adds what is missing; false when a part of it failed that may succeed later. */
  async #subscribe(wanted: ReadonlyMap<string, Wanted>, refused: Set<string>): Promise<boolean> {
    let isComplete = true;
    for (const [key, { protocol, subscription }] of wanted) {
      if (this.#subscriptions.has(key) || refused.has(key)) continue;
      const { pubsub, topic } = subscription;
      try {
        this.#subscriptions.set(key, await this.#options.pubsub.subscribe(subscription, this.#handler(protocol)));
        this.#options.log.info({ pubsub, topic }, "the application is subscribed");
      } catch (error) {
        this.#options.log.error({ err: error, pubsub, topic }, "the application cannot be subscribed to a topic");
        if (isFinal(error)) refused.add(key);
        else isComplete = false;
      }
    }
    return isComplete;
  }

  #handler(protocol: CallbackProtocol): EventHandler {
    return async (event, signal) => {
      await unlessAborted(this.#present.promise, signal);
      return protocol.deliver(event, signal);
    };
  }

  async #unsubscribe(isUnwanted: (key: string) => boolean): Promise<void> {
    const ended = [...this.#subscriptions].filter(([key]) => isUnwanted(key));
    for (const [key] of ended) this.#subscriptions.delete(key);
    await Promise.all(ended.map(([, subscription]) => subscription[Symbol.asyncDispose]()));
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stopping.signal, ref: false }).catch(() => undefined);
  }
}

/** Whether asking again would be answered the same. */
function isFinal(error: unknown): boolean {
  return (
    error instanceof RuntimeError &&
    ["INVALID_ARGUMENT", "FAILED_PRECONDITION", "PERMISSION_DENIED", "UNIMPLEMENTED"].includes(error.code)
  );
}
