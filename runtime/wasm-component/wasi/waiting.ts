import type { GuestHost } from "../provider.ts";

/** Who waits. */
export interface Waiter {
  wake(): void;
}

/** Something that a guest may wait for. */
export interface Waitable {
  /** Whether a guest that waits for it goes on at once. */
  readonly isReady: boolean;
  /** Woken when that may have changed. An instance waits at one place at a time, so there is never a second one. */
  waiter: Waiter | undefined;
}

/** Resolves when one of them is ready; rejects when the call under way is over, which nobody has to await. */
export function untilReady(host: GuestHost, awaited: readonly Waitable[]): Promise<void> {
  const ready = new Promise<void>((resolve, reject) => {
    const { signal } = host;
    if (signal.aborted) reject(signal.reason);
    else new Wait(host, awaited, signal, resolve, reject).begin();
  });
  ready.catch(ignore);
  return ready;
}

function ignore(): void {
  // Who awaits it learns of it.
}

class Wait implements Waiter {
  readonly #host: GuestHost;
  readonly #awaited: readonly Waitable[];
  readonly #signal: AbortSignal;
  readonly #resolve: () => void;
  readonly #reject: (reason: unknown) => void;

  constructor(
    host: GuestHost,
    awaited: readonly Waitable[],
    signal: AbortSignal,
    resolve: () => void,
    reject: (reason: unknown) => void,
  ) {
    this.#host = host;
    this.#awaited = awaited;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  begin(): void {
    this.#signal.addEventListener("abort", this);
    for (const one of this.#awaited) one.waiter = this;
  }

  wake(): void {
    for (const one of this.#awaited) {
      if (!one.isReady) continue;
      this.#end();
      this.#host.waited();
      this.#resolve();
      return;
    }
  }

  handleEvent(): void {
    this.#end();
    this.#reject(this.#signal.reason);
  }

  #end(): void {
    this.#signal.removeEventListener("abort", this);
    for (const one of this.#awaited) if (one.waiter === this) one.waiter = undefined;
  }
}
