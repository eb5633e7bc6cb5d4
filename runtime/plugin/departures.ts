import type { InstanceCounters } from "./contract.ts";
import type { Member, PoolMembers } from "./pool-members.ts";

export interface DepartureTerms {
  readonly members: PoolMembers;
  /** Told once of each instance that is gone what it had done. */
  readonly gone: (counters: InstanceCounters) => void;
  /** An instance has left room for others. */
  readonly left: () => void;
  /** Told what went wrong where nobody can be told. */
  readonly failed: (error: unknown) => void;
}

/** The instances of a pool on their way out: each finishes its streams, unless all must go at once; with what else runs for the pool. */
export class Departures {
  readonly #terms: DepartureTerms;
  readonly #tasks = new Set<Promise<void>>();
  /** The instances that are left must go, whatever runs on them. */
  #hurried = false;

  constructor(terms: DepartureTerms) {
    this.#terms = terms;
  }

  /** Lets the instance finish its streams, then it is gone. */
  end(member: Member): void {
    this.#terms.members.ending.add(member);
    this.track(this.#finish(member));
  }

  /** Lets go of one that has died; false when that is known. */
  lost(member: Member): boolean {
    const { members, gone } = this.#terms;
    if (!members.remove(member)) return false;
    gone(member.instance.counters);
    member.over.abort();
    this.track(dispose(member));
    return true;
  }

  hurry(): void {
    this.#hurried = true;
    for (const { over } of this.#terms.members.ending) over.abort();
  }

  /** Has `idle` wait for the task. */
  track(task: Promise<void>): void {
    const tracked: Promise<void> = task.catch(this.#terms.failed).finally(() => this.#tasks.delete(tracked));
    this.#tasks.add(tracked);
  }

  /** Resolves when every task has ended. */
  async idle(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }

  async #finish(member: Member): Promise<void> {
    // The stream that the instance was taken for begins before this goes on.
    await undefined;
    const { instance, over } = member;
    const { members, gone, left } = this.#terms;
    // A guest that fails while it finishes is told of through `lost`.
    if (!this.#hurried) await Promise.race([instance.drain().catch(() => {}), aborted(over.signal)]);
    if (!members.ending.has(member)) return;
    try {
      await dispose(member);
    } finally {
      if (members.ending.delete(member)) gone(instance.counters);
    }
    left();
  }
}

async function dispose({ instance }: Member): Promise<void> {
  await instance[Symbol.asyncDispose]();
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
