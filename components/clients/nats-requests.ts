import type { NatsConnection as Client, Msg } from "nats";
import { RuntimeError } from "../error.ts";
import type { NatsHeaders } from "./nats.ts";
import { whyOf } from "./nats-failure.ts";

export interface NatsRequestsOptions {
  readonly name: string;
  readonly timeoutMs: number;
  readonly longestBacklogBytes: number;
  /** Told that something was not answered in its time. */
  readonly unanswered: () => void;
}

export interface NatsRequest {
  readonly subject: string;
  readonly data: Uint8Array | string;
  readonly headers?: NatsHeaders | undefined;
  /** In place of the connection's. */
  readonly timeoutMs?: number | undefined;
}

interface Waiting {
  readonly subject: string;
  readonly bytes: number;
  readonly giveUpAtMs: number;
  readonly resolve: (message: Msg) => void;
  readonly reject: (error: RuntimeError) => void;
}

/**
 * Requests and their answers over one subscription. The client has the same, but there a request of a lost connection waits
 * for its time to pass, and each takes a timer.
 */
export class NatsRequests {
  readonly #client: Client;
  readonly #options: NatsRequestsOptions;
  readonly #inbox: string;
  readonly #waiting = new Map<string, Waiting>();
  #watch: NodeJS.Timeout | undefined;
  #count = 0;
  #bytes = 0;

  constructor(client: Client, options: NatsRequestsOptions) {
    this.#client = client;
    this.#options = options;
    // Random enough that nobody guesses it, which the server's permissions are to see to in any case.
    this.#inbox = `_INBOX.${crypto.randomUUID().replaceAll("-", "")}`;
    client.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#answered(message);
        else this.failAll(this.#error("PERMISSION_DENIED", "NATS_ACCESS_DENIED", `forbids to subscribe to _INBOX.>`));
      },
    });
  }

  newInbox(): string {
    return `_INBOX.${crypto.randomUUID().replaceAll("-", "")}`;
  }

  ask({ subject, data, headers, timeoutMs = this.#options.timeoutMs }: NatsRequest): Promise<Msg> {
    const bytes = data.length;
    if (this.#bytes + bytes > this.#options.longestBacklogBytes && this.#bytes > 0) {
      throw this.#error("RESOURCE_EXHAUSTED", "NATS_BUSY", "is too slow for what is asked of it; ask less at a time");
    }
    const token = (++this.#count).toString(36);
    const reply = `${this.#inbox}.${token}`;
    try {
      this.#client.publish(subject, data, headers === undefined ? { reply } : { reply, headers });
    } catch (error) {
      throw this.#error("INVALID_ARGUMENT", "NATS_NOT_SENT", `cannot be sent that: ${whyOf(error)}`);
    }
    const { promise, resolve, reject } = Promise.withResolvers<Msg>();
    this.#waiting.set(token, { subject, bytes, giveUpAtMs: performance.now() + timeoutMs, resolve, reject });
    this.#bytes += bytes;
    this.#watch ??= setInterval(() => this.#giveUp(), 100).unref();
    return promise;
  }

  /** Settles as the work does, or rejects when that takes longer than a request may. */
  async within(work: Promise<void>): Promise<void> {
    const { timeoutMs } = this.#options;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      this.#options.unanswered();
      reject(this.#late(timeoutMs));
    }, timeoutMs);
    try {
      await Promise.race([work, late]);
    } catch (error) {
      if (error instanceof RuntimeError) throw error;
      throw this.#error("UNAVAILABLE", "NATS_UNREACHABLE", "cannot be reached: the connection was closed");
    } finally {
      clearTimeout(timer);
    }
  }

  /** The server forbids to send to the subject. */
  refuse(subject: string): void {
    for (const [token, waiting] of this.#waiting) {
      if (waiting.subject !== subject) continue;
      this.#take(token, waiting);
      waiting.reject(this.#error("PERMISSION_DENIED", "NATS_ACCESS_DENIED", `forbids to send to '${subject}'`));
    }
  }

  failAll(error: RuntimeError): void {
    for (const [token, waiting] of this.#waiting) {
      this.#take(token, waiting);
      waiting.reject(error);
    }
  }

  #answered(message: Msg): void {
    const token = message.subject.slice(this.#inbox.length + 1);
    const waiting = this.#waiting.get(token);
    if (waiting === undefined) return;
    this.#take(token, waiting);
    if (message.data.length > 0 || message.headers?.code !== 503) waiting.resolve(message);
    else
      waiting.reject(this.#error("UNAVAILABLE", "NATS_NO_RESPONDERS", `has nobody who answers '${waiting.subject}'`));
  }

  #giveUp(): void {
    const now = performance.now();
    for (const [token, waiting] of this.#waiting) {
      if (waiting.giveUpAtMs > now) continue;
      this.#take(token, waiting);
      waiting.reject(this.#late(this.#options.timeoutMs));
      this.#options.unanswered();
    }
  }

  #take(token: string, { bytes }: Waiting): void {
    this.#waiting.delete(token);
    this.#bytes -= bytes;
    if (this.#waiting.size > 0) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  #late(afterMs: number): RuntimeError {
    return this.#error("UNAVAILABLE", "NATS_NOT_ANSWERING", `did not answer within ${afterMs} ms`);
  }

  #error(code: RuntimeError["code"], reason: string, text: string): RuntimeError {
    return new RuntimeError(code, reason, `the NATS of '${this.#options.name}' ${text}`);
  }
}
