import { RuntimeError } from "../error.ts";
import { backOffMs } from "./back-off.ts";
import type { NatsMessage } from "./nats.ts";
import type { JetStream } from "./nats-jetstream.ts";

/** How long the server holds a pull that finds nothing; how long we wait beyond that. */
const expiresMs = 5_000;
const graceMs = 2_000;

export interface NatsPullOptions {
  readonly stream: string;
  /** Makes sure that the consumer exists; resolves to its name. Called at first, and whenever it may be gone. */
  prepare(): Promise<string>;
  /** How many messages may come now; when none may, `wake` says that some may again. */
  room(): number;
  receive(message: NatsMessage): void;
}

/** Asks a consumer of JetStream for messages, as many as there is room for, again and again until it is disposed. */
export class NatsPull implements AsyncDisposable {
  readonly #jetStream: JetStream;
  readonly #options: NatsPullOptions;
  #isEnding = false;
  readonly #inbox: string;
  #consumer: string | undefined;
  #failures = 0;
  #pulls = 0;
  /** Messages still due of the pull that runs. */
  #due = 0;
  #endPull: ((outcome: "done" | "trouble" | "gone") => void) | undefined;
  #woken: (() => void) | undefined;
  #running: Promise<void> = Promise.resolve();

  private constructor(jetStream: JetStream, options: NatsPullOptions, consumer: string) {
    this.#jetStream = jetStream;
    this.#options = options;
    this.#consumer = consumer;
    this.#inbox = jetStream.connection.newInbox();
  }

  /** Resolves once the consumer exists. */
  static async start(jetStream: JetStream, options: NatsPullOptions): Promise<NatsPull> {
    const pull = new NatsPull(jetStream, options, await options.prepare());
    pull.#running = pull.#run();
    return pull;
  }

  /** There is room again. */
  wake(): void {
    this.#woken?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    this.#endPull?.("done");
    this.wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { connection } = this.#jetStream;
    const subscription = connection.subscribe(`${this.#inbox}.*`, (message) => this.#heard(message));
    using _ = connection.watch((isUp) => this.#changed(isUp));
    while (!this.#isEnding) {
      const room = this.#options.room();
      if (!connection.isUp || room <= 0) {
        await this.#wait();
        continue;
      }
      const outcome = await this.#attempt(room);
      this.#failures = outcome === "done" ? 0 : this.#failures + 1;
      if (outcome === "gone") this.#consumer = undefined;
      if (this.#failures > 0) await this.#wait(backOffMs(this.#failures));
    }
    await subscription.end();
  }

  /** Until the time has passed, somebody wakes it, the connection is back, or it is to end. */
  async #wait(ms?: number): Promise<void> {
    if (this.#isEnding) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#woken = resolve;
    const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
    await promise;
    clearTimeout(timer);
    this.#woken = undefined;
  }

  /** A pull that the server forgot with the connection would be waited for in vain, and so would one of a consumer that is gone. */
  #changed(isUp: boolean): void {
    this.#consumer = undefined;
    if (isUp) this.#woken?.();
    else this.#endPull?.("gone");
  }

  async #attempt(room: number): Promise<"done" | "trouble" | "gone"> {
    try {
      this.#consumer ??= await this.#options.prepare();
    } catch (error) {
      const isPassing = error instanceof RuntimeError && error.code === "UNAVAILABLE";
      const { log, name } = this.#jetStream.connection;
      log[isPassing ? "debug" : "warn"]({ err: error }, `the NATS of '${name}' gives no messages; it is tried again`);
      return "trouble";
    }
    return this.#pull(this.#consumer, room);
  }

  async #pull(consumer: string, batch: number): Promise<"done" | "trouble" | "gone"> {
    const { connection } = this.#jetStream;
    const { promise, resolve } = Promise.withResolvers<"done" | "trouble" | "gone">();
    const timer = setTimeout(() => resolve("gone"), expiresMs + graceMs);
    this.#endPull = resolve;
    this.#due = batch;
    const subject = this.#jetStream.subjectOf(`CONSUMER.MSG.NEXT.${this.#options.stream}.${consumer}`);
    const request = JSON.stringify({ batch, expires: expiresMs * 1_000_000 });
    const wasSent = connection.publish(subject, request, { reply: `${this.#inbox}.${++this.#pulls}` });
    if (!wasSent) resolve("trouble");
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#endPull = undefined;
    }
  }

  #heard(message: NatsMessage): void {
    // A message of the stream says where to acknowledge it; what has no such place is about the pull.
    if (message.reply?.startsWith("$JS.ACK.") === true) {
      this.#due--;
      this.#options.receive(message);
      if (this.#due <= 0) this.#endPull?.("done");
      return;
    }
    const isOfThisPull = message.subject === `${this.#inbox}.${this.#pulls}`;
    const { code = 0, description = "" } = message.headers ?? {};
    if (!isOfThisPull || code === 100) return;
    if (code === 404 || code === 408) this.#endPull?.("done");
    else if (code === 503 || /consumer deleted|consumer is push/i.test(description)) this.#endPull?.("gone");
    else this.#endPull?.("trouble");
  }
}
