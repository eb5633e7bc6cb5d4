import type { BindingBlock } from "../api/binding.ts";
import type { PubSubBlock, TopicSubscription } from "../api/pubsub.ts";
import { GrpcChannel } from "../grpc/client-channel.ts";
import type { Log } from "../telemetry/log.ts";
import { Attendance, type Door, firstWaitMs, longestWaitMs, type Wish } from "./attendance.ts";
import { bindingWish } from "./binding-wish.ts";
import type { CallbackProtocol, TopicCallbacks } from "./callback-protocol.ts";
import { daprCallbacks } from "./dapr-callbacks.ts";
import { layottoCallbacks } from "./layotto-callbacks.ts";

export interface AppChannelOptions {
  /** `host:port` or `unix:/path` where the application serves the callbacks. */
  readonly address: string;
  readonly pubsub: PubSubBlock;
  /** Without it the application is not asked for input bindings. */
  readonly bindings?: BindingBlock;
  readonly maxMessageBytes: number;
  /** Longest wait for the answer to an event; then it is delivered again. Default a minute. */
  readonly eventTimeoutMs?: number;
  /** See `Attendance`. */
  readonly absenceMs?: number;
  /** Told each time that the application says which input bindings it takes events of here. */
  readonly onBindings?: (names: ReadonlySet<string>) => void;
  readonly log: Log;
}

/**
 * The channel to the application's gRPC callbacks. It asks which topics and input bindings the application wants until it
 * answers, asks again each time the application comes back, and delivers their events while it is there. Disposing
 * unsubscribes and closes.
 */
export class AppChannel implements AsyncDisposable {
  readonly #options: AppChannelOptions;
  readonly #channel: GrpcChannel;
  readonly #protocols: readonly CallbackProtocol[];
  readonly #attendance: Attendance;

  constructor(options: AppChannelOptions) {
    const { address, bindings, maxMessageBytes, eventTimeoutMs = 60_000, absenceMs, log } = options;
    this.#options = options;
    const channel = new GrpcChannel({
      address,
      maxMessageBytes,
      firstBackoffMs: firstWaitMs,
      longestBackoffMs: longestWaitMs,
    });
    this.#channel = channel;
    this.#protocols = [
      layottoCallbacks({ channel, maxMessageBytes, eventTimeoutMs, log }),
      ...(bindings === undefined ? [] : [daprCallbacks({ channel, eventTimeoutMs, log })]),
    ];
    const door: Door = {
      address: () => address,
      wishes: (signal) => this.#wishes(signal),
      untilGone: (signal) => channel.untilDisconnected(signal),
    };
    this.#attendance = new Attendance({ door, absenceMs, log });
  }

  /** Asks the application what it wants again: what it could not have may be there now. */
  askAgain(): void {
    this.#attendance.askAgain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#attendance[Symbol.asyncDispose]();
    await this.#channel[Symbol.asyncDispose]();
  }

  /** What the application wants, in every protocol that it speaks. */
  async #wishes(signal: AbortSignal): Promise<readonly Wish[]> {
    const { bindings: block, onBindings } = this.#options;
    const wishes: Wish[] = [];
    const names = new Set<string>();
    for (const { name: protocol, topics, bindings } of this.#protocols) {
      if (topics !== undefined) {
        const subscriptions = (await topics.subscriptions(signal)) ?? [];
        wishes.push(...subscriptions.map((subscription) => this.#topic(protocol, topics, subscription)));
      }
      if (bindings === undefined || block === undefined) continue;
      for (const name of (await bindings.names(signal)) ?? []) {
        names.add(name);
        wishes.push(bindingWish(protocol, name, block, (event, ends) => bindings.deliver(name, event, ends)));
      }
    }
    onBindings?.(names);
    return wishes;
  }

  #topic(protocol: string, callbacks: TopicCallbacks, subscription: TopicSubscription): Wish {
    const { pubsub, topic, metadata } = subscription;
    return {
      key: JSON.stringify([protocol, pubsub, topic, metadata]),
      fields: { pubsub, topic },
      begin: (untilThere) =>
        this.#options.pubsub.subscribe(subscription, async (event, signal) => {
          await untilThere(signal);
          return callbacks.deliver(event, signal);
        }),
    };
  }
}
