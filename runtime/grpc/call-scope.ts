import type { CallContext, ComponentLog } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";

/** What a transport knows of a call when it begins. */
export interface CallFacts {
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number | undefined;
  readonly peerAddress: string;
  readonly metadata: NonNullable<CallContext["metadata"]>;
  readonly sendMetadata: NonNullable<CallContext["sendMetadata"]>;
  readonly appId: string;
  readonly log: ComponentLog;
}

/** Longest delay that a timer takes, in milliseconds; a deadline beyond it is as good as none. */
const longestDelayMs = 2 ** 31 - 1;

/** The life of one call: its context, and the end that comes from outside, by deadline or by the caller. */
export class CallScope implements Disposable {
  readonly context: CallContext;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #ended = Promise.withResolvers<never>();

  constructor({ deadlineMs, peerAddress, metadata, sendMetadata, appId, log }: CallFacts) {
    // Nobody may be waiting when the end comes.
    this.#ended.promise.catch(() => {});
    const traceparent = metadata.find(([name]) => name === "traceparent")?.[1];
    this.context = {
      signal: this.#controller.signal,
      peer: { address: peerAddress },
      metadata,
      sendMetadata,
      appId,
      log,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
      ...(traceparent === undefined ? {} : { traceparent }),
    };
    if (deadlineMs === undefined || deadlineMs - Date.now() > longestDelayMs) return;
    this.#timer = setTimeout(() => this.#end(deadlineExceeded()), Math.max(0, deadlineMs - Date.now()));
  }

  /** The caller gave up. */
  cancel(): void {
    this.#end(new RuntimeError("CANCELLED", "CANCELLED", "the caller cancelled the call"));
  }

  /** The work's result, or the end from outside when that comes first; the work goes on unheard. */
  race<T>(work: Promise<T>): Promise<T> {
    work.catch(() => {});
    return Promise.race([work, this.#ended.promise]);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #end(reason: RuntimeError): void {
    clearTimeout(this.#timer);
    this.#controller.abort(reason);
    this.#ended.reject(reason);
  }
}

const deadlineExceeded = (): RuntimeError =>
  new RuntimeError("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "the deadline of the call passed before it was answered");
