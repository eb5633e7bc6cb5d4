import type { CallContext, ComponentLog } from "../../../components/component.ts";
import { RuntimeError } from "../../../components/error.ts";

/** What a transport knows of a call when it begins. */
export interface CallFacts {
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number | undefined;
  readonly peerAddress: string;
  readonly metadata: NonNullable<CallContext["metadata"]>;
  readonly sendMetadata: NonNullable<CallContext["sendMetadata"]>;
  readonly setTrailingMetadata?: NonNullable<CallContext["setTrailingMetadata"]>;
  readonly appId: string;
  readonly log: ComponentLog;
}

/** Longest delay that a timer takes, in milliseconds; a deadline beyond it is as good as none. */
const longestDelayMs = 2 ** 31 - 1;
/** A transport may cancel at the deadline on its own, by a timer that runs this much ahead of the wall clock. */
const timerLeadMs = 2;

/** The life of one call: its context, and the end that comes from outside, by deadline or by the caller. */
export class CallScope implements Disposable {
  readonly context: CallContext;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  /** Rejects what waits. A set, because reactions to one long-lived promise would pile up for the life of a stream. */
  readonly #waiting = new Set<(reason: RuntimeError) => void>();
  #isOver = false;

  constructor({ deadlineMs, peerAddress, metadata, sendMetadata, setTrailingMetadata, appId, log }: CallFacts) {
    const traceparent = metadata.find(([name]) => name === "traceparent")?.[1];
    this.context = {
      signal: this.#controller.signal,
      peer: { address: peerAddress },
      metadata,
      sendMetadata,
      appId,
      log,
      ...(setTrailingMetadata === undefined ? {} : { setTrailingMetadata }),
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
      ...(traceparent === undefined ? {} : { traceparent }),
    };
    if (deadlineMs === undefined || deadlineMs - Date.now() > longestDelayMs) return;
    this.#timer = setTimeout(() => this.end(deadlineExceeded()), Math.max(0, deadlineMs - Date.now()));
  }

  /** Throws once the call has ended, whichever way. */
  throwIfOver(): void {
    this.context.signal.throwIfAborted();
    if (this.#isOver) throw answered();
  }

  /** The caller gave up, or the transport did for it at the deadline. Without effect once the call has been answered. */
  cancel(): void {
    const { deadlineMs } = this.context;
    const isLate = deadlineMs !== undefined && Date.now() + timerLeadMs >= deadlineMs;
    this.end(isLate ? deadlineExceeded() : cancelled());
  }

  /** Ends the call from outside: aborts its signal and whatever waits within it. */
  end(reason: RuntimeError): void {
    if (this.#isOver || this.#controller.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#controller.abort(reason);
    this.#rejectWaiting(reason);
  }

  /** The work's result, or the end from outside when that comes first; the work goes on unheard. */
  race<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      work.then(
        (result) => {
          this.#waiting.delete(reject);
          resolve(result);
        },
        (error: unknown) => {
          this.#waiting.delete(reject);
          reject(error);
        },
      );
      if (this.#controller.signal.aborted) reject(this.#controller.signal.reason);
      else if (this.#isOver) reject(answered());
    });
  }

  /** The call has been answered: nothing that is left of it may wait. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    if (this.#waiting.size > 0) this.#rejectWaiting(answered());
  }

  #rejectWaiting(reason: RuntimeError): void {
    for (const reject of this.#waiting) reject(reason);
    this.#waiting.clear();
  }
}

const cancelled = (): RuntimeError => new RuntimeError("CANCELLED", "CANCELLED", "the caller cancelled the call");
const answered = (): RuntimeError => new RuntimeError("CANCELLED", "CALL_ENDED", "the call has been answered already");
const deadlineExceeded = (): RuntimeError =>
  new RuntimeError("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "the deadline of the call passed before it was answered");
