import { setTimeout as delay } from "node:timers/promises";
import { RuntimeError } from "../../components/error.ts";
import { unlessAborted } from "../api/unless-aborted.ts";
import type { Log } from "../telemetry/log.ts";

/** Waits until the application is there; rejects when the signal aborts first. */
export type UntilThere = (signal: AbortSignal) => Promise<void>;

/** Something that the application wants while it is there: a topic, the events of a binding. */
export interface Wish {
  /** The same for the same wish, however often it is uttered. */
  readonly key: string;
  /** What it is, for the log. */
  readonly fields: Readonly<Record<string, string>>;
  /** Begins to deliver, until disposed. Each delivery waits until the application is there. */
  begin(untilThere: UntilThere): Promise<AsyncDisposable>;
}

/** One of the application's ways in. */
export interface Door {
  /** Where it is, for the log. */
  address(): string;
  /** What the application wants; rejects while it is not there. */
  wishes(signal: AbortSignal): Promise<readonly Wish[]>;
  /** Resolves when the application may be gone, or may want something else, or when the signal aborts. */
  untilGone(signal: AbortSignal): Promise<void>;
}

export interface AttendanceOptions {
  readonly door: Door;
  /**
   * How long what an application wants is kept up while it is gone, so that it finds its events when it was only restarted;
   * later they are left to its other instances. Default 10 seconds.
   */
  readonly absenceMs?: number | undefined;
  readonly log: Log;
}

export const firstWaitMs = 100;
export const longestWaitMs = 5_000;

/**
 * Asks the application what it wants until it answers, asks again each time it comes back, and delivers while it is there.
 * Disposing ends everything.
 */
export class Attendance implements AsyncDisposable {
  readonly #options: AttendanceOptions;
  readonly #stopping = new AbortController();
  readonly #begun = new Map<string, AsyncDisposable>();
  readonly #running: Promise<void>;
  /** Resolved while the application is there. */
  #present = Promise.withResolvers<void>();
  /** Aborted when the application is to be asked again though it is still there. */
  #asking = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(options: AttendanceOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Asks the application what it wants again: what it could not have may be there now. */
  askAgain(): void {
    this.#asking.abort();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#end(() => true);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { absenceMs = 10_000 } = this.#options;
    let waitMs = firstWaitMs;
    let seenAtMs = performance.now();
    while (!signal.aborted) {
      const wishes = await this.#ask();
      if (wishes !== undefined) {
        const cameAtMs = performance.now();
        await this.#serve(wishes);
        seenAtMs = performance.now();
        // One that hangs up at once is not asked more and more often.
        if (seenAtMs - cameAtMs > longestWaitMs) waitMs = firstWaitMs;
      } else if (performance.now() - seenAtMs > absenceMs && this.#begun.size > 0) {
        const { log, door } = this.#options;
        log.warn({ application: door.address() }, "the application is gone; its events wait for it");
        await this.#end(() => true);
      }
      await this.#pause(waitMs);
      waitMs = Math.min(2 * waitMs, longestWaitMs);
    }
  }

  /** What the application wants, by key; undefined while it is not there. */
  async #ask(): Promise<ReadonlyMap<string, Wish> | undefined> {
    const { door, log } = this.#options;
    try {
      const wishes = await door.wishes(this.#stopping.signal);
      return new Map(wishes.map((wish) => [wish.key, wish]));
    } catch (error) {
      log.debug({ err: error, application: door.address() }, "the application does not say yet what it wants");
      return undefined;
    }
  }

  /** Delivers until the application is gone. */
  async #serve(wishes: ReadonlyMap<string, Wish>): Promise<void> {
    const gone = new AbortController();
    if (this.#asking.signal.aborted) this.#asking = new AbortController();
    const over = AbortSignal.any([this.#stopping.signal, this.#asking.signal]);
    const disconnected = this.#options.door.untilGone(over).then(() => gone.abort());
    this.#present.resolve();
    await this.#end((key) => !wishes.has(key));
    const refused = new Set<string>();
    for (let waitMs = firstWaitMs; !(await this.#begin(wishes, refused)); ) {
      await delay(waitMs, undefined, { signal: gone.signal }).catch(() => undefined);
      waitMs = Math.min(2 * waitMs, longestWaitMs);
      if (gone.signal.aborted) break;
    }
    await disconnected;
    // While it closes, the events that the application has are still answered.
    if (!this.#stopping.signal.aborted) this.#present = Promise.withResolvers();
  }

  /** Begins what is missing; false when a part of it failed that may succeed later. */
  async #begin(wishes: ReadonlyMap<string, Wish>, refused: Set<string>): Promise<boolean> {
    const { log } = this.#options;
    let isComplete = true;
    for (const [key, wish] of wishes) {
      if (this.#begun.has(key) || refused.has(key)) continue;
      try {
        this.#begun.set(key, await wish.begin((signal) => unlessAborted(this.#present.promise, signal)));
        log.info(wish.fields, "the application is subscribed");
      } catch (error) {
        if (isFinal(error)) refused.add(key);
        else isComplete = false;
        log.error({ err: error, ...wish.fields }, "the application cannot be subscribed to what it wants");
      }
    }
    return isComplete;
  }

  async #end(isUnwanted: (key: string) => boolean): Promise<void> {
    const ended = [...this.#begun].filter(([key]) => isUnwanted(key));
    for (const [key] of ended) this.#begun.delete(key);
    await Promise.all(ended.map(([, one]) => one[Symbol.asyncDispose]()));
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
