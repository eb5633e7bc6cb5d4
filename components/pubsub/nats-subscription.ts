import { backOffMs } from "../clients/back-off.ts";
import type { NatsMessage } from "../clients/nats.ts";
import type { JetStream } from "../clients/nats-jetstream.ts";
import { NatsPull } from "../clients/nats-pull.ts";
import { positionOf } from "../clients/nats-scan.ts";
import { receivedOf } from "./nats-message.ts";
import type { Deliver } from "./pubsub.ts";

const retry = { firstMs: 100, longestMs: 10_000 };
/** Messages that were taken and are known again when the server has not heard it. */
const mostRemembered = 1_024;

export interface NatsGroupMemberOptions {
  readonly stream: string;
  readonly topic: string;
  readonly deliver: Deliver;
  readonly ackWaitMs: number;
  /** Deliveries at a time, and messages that wait beside them. */
  readonly concurrency: number;
  readonly prefetch: number;
  /** Resolves to the name of the group's consumer. */
  ensureConsumer(): Promise<string>;
  /** Resolves once there is the stream; one that was made anew has been told by `forget`. */
  ensureStream(): Promise<void>;
}

/** A message that the server holds to be with us. */
interface Held {
  message: NatsMessage;
  readonly sequence: number;
  /** Its stream is gone: there is nobody to tell what became of it. */
  isLeftOver: boolean;
}

/** One subscriber of a group: takes messages of its consumer as there is room, and tells the server what became of them. */
export class NatsGroupMember implements AsyncDisposable {
  readonly #jetStream: JetStream;
  readonly #options: NatsGroupMemberOptions;
  readonly #leaving = new AbortController();
  readonly #held = new Map<number, Held>();
  readonly #waiting: Held[] = [];
  readonly #running = new Set<Promise<void>>();
  /** Where the messages that were taken last are acknowledged, by their number. */
  readonly #taken = new Map<number, string>();
  readonly #heartbeat: NodeJS.Timeout;
  readonly #watch: Disposable;
  #pull: NatsPull | undefined;

  private constructor(jetStream: JetStream, options: NatsGroupMemberOptions) {
    this.#jetStream = jetStream;
    this.#options = options;
    this.#heartbeat = setInterval(() => this.#tellOfWork(), Math.ceil(options.ackWaitMs / 3)).unref();
    this.#watch = jetStream.connection.watch((isUp) => {
      if (isUp) void this.#tellAgain();
    });
  }

  /** Resolves once messages that are published from now on will come. */
  static async join(jetStream: JetStream, options: NatsGroupMemberOptions): Promise<NatsGroupMember> {
    const member = new NatsGroupMember(jetStream, options);
    try {
      member.#pull = await NatsPull.start(jetStream, {
        stream: options.stream,
        prepare: () => options.ensureConsumer(),
        room: () => member.#room(),
        receive: (message) => member.#receive(message),
      });
      return member;
    } catch (error) {
      await member[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leaving.abort();
    // What is given back while a pull is open comes back to it.
    await this.#pull?.[Symbol.asyncDispose]();
    this.#giveAllBack();
    await Promise.all(this.#running);
    this.#giveAllBack();
    clearInterval(this.#heartbeat);
    this.#watch[Symbol.dispose]();
    // What was said last is to be with the server before another asks for it.
    if (this.#jetStream.connection.isUp) await this.#jetStream.connection.flush().catch(() => undefined);
  }

  /** The stream is another one now, in which the numbers that are known here mean other messages. */
  forget(): void {
    this.#taken.clear();
    for (const held of this.#held.values()) held.isLeftOver = true;
    this.#held.clear();
  }

  /** None until half of it is free, so that a busy subscriber does not ask for every single one. */
  #room(): number {
    const { concurrency, prefetch } = this.#options;
    const free = concurrency + prefetch - this.#held.size;
    return this.#leaving.signal.aborted || free < (concurrency + prefetch) / 2 ? 0 : free;
  }

  #receive(message: NatsMessage): void {
    const { sequence } = positionOf(message);
    const again = this.#held.get(sequence);
    if (again !== undefined) {
      again.message = message;
    } else if (this.#taken.has(sequence)) {
      this.#acknowledge({ message, sequence, isLeftOver: false });
    } else {
      const held = { message, sequence, isLeftOver: false };
      this.#held.set(sequence, held);
      this.#waiting.push(held);
      this.#dispatch();
    }
  }

  #dispatch(): void {
    while (!this.#leaving.signal.aborted && this.#running.size < this.#options.concurrency) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      const delivery = this.#deliver(next).then(() => {
        this.#running.delete(delivery);
        this.#dispatch();
        this.#pull?.wake();
      });
      this.#running.add(delivery);
    }
  }

  async #deliver(held: Held): Promise<void> {
    const { topic, deliver } = this.#options;
    const { signal } = this.#leaving;
    try {
      await deliver(receivedOf(held.message, topic, held.sequence), signal);
      this.#acknowledge(held);
    } catch (error) {
      if (signal.aborted) {
        this.#waiting.push(held);
        return;
      }
      if (held.isLeftOver) {
        const { log } = this.#jetStream.connection;
        log.warn({ err: error, topic }, "a delivery failed and cannot be tried again, since the stream was lost");
        return;
      }
      const deliveries = deliveriesOf(held.message);
      this.#jetStream.connection.log.debug(
        { err: error, topic, id: held.sequence, failures: deliveries },
        "a delivery failed and is tried again",
      );
      this.#giveBack(held, backOffMs(deliveries, retry));
    }
  }

  #acknowledge({ message, sequence, isLeftOver }: Held): void {
    if (isLeftOver) return;
    this.#held.delete(sequence);
    const { reply = "" } = message;
    this.#jetStream.connection.publish(reply, "+ACK");
    this.#taken.delete(sequence);
    this.#taken.set(sequence, reply);
    if (this.#taken.size <= mostRemembered) return;
    for (const oldest of this.#taken.keys()) {
      this.#taken.delete(oldest);
      break;
    }
  }

  /** To come again, here or to another of the group, once the time has passed. */
  #giveBack({ message, sequence, isLeftOver }: Held, afterMs = 0): void {
    if (isLeftOver) return;
    this.#held.delete(sequence);
    const { reply = "" } = message;
    const delay = afterMs === 0 ? "" : ` ${JSON.stringify({ delay: Math.round(afterMs) * 1_000_000 })}`;
    this.#jetStream.connection.publish(reply, `-NAK${delay}`);
  }

  #giveAllBack(): void {
    for (const held of this.#waiting.splice(0)) this.#giveBack(held);
  }

  /** The server would give what is held here to another after its time. */
  #tellOfWork(): void {
    for (const { message } of this.#held.values()) this.#jetStream.connection.publish(message.reply ?? "", "+WPI");
  }

  /** Whether what was said last was heard is not known. */
  async #tellAgain(): Promise<void> {
    // In another stream the same numbers would be of other messages.
    const isThere = await this.#options.ensureStream().then(
      () => true,
      () => false,
    );
    if (!isThere) return;
    for (const reply of this.#taken.values()) this.#jetStream.connection.publish(reply, "+ACK");
    this.#tellOfWork();
  }
}

/** How often the message was delivered, this time included. */
function deliveriesOf({ reply = "" }: NatsMessage): number {
  const tokens = reply.split(".");
  return Number(tokens[tokens.length >= 11 ? 6 : 4]);
}
