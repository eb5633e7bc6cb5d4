import type { PluginInstance } from "./contract.ts";

/** How many instances a pool has and what for. */
export interface PoolSize {
  /**
   * Who has an instance: `shared` many streams at once; `exclusive` one after the other; `per-stream` one, and the instance ends
   * with it.
   */
  readonly use: "shared" | "exclusive" | "per-stream";
  /** Most instances at work, spares aside. */
  readonly most: number;
  /** Started instances that wait to take over. */
  readonly spares: number;
}

/** One started instance. */
export interface Member {
  readonly instance: PluginInstance;
  /** Aborted when nothing is to be waited for any more: it died, or its time to finish is over. */
  readonly over: AbortController;
  /** Its calls at the last look for idle ones. */
  callsSeen: number;
}

/** The instances of a pool, and which of them takes the next stream. */
export class PoolMembers {
  readonly #size: PoolSize;
  readonly active: Member[] = [];
  readonly spares: Member[] = [];
  /** On their way out: no stream begins on them any more. */
  readonly ending = new Set<Member>();

  constructor(size: PoolSize) {
    this.#size = size;
  }

  *[Symbol.iterator](): Generator<Member> {
    yield* this.active;
    yield* this.spares;
    yield* this.ending;
  }

  /**
   * The instance for the next stream, if one can take it. A spare that is taken becomes active, or is nowhere any more when it is
   * for that stream alone.
   */
  take(): Member | undefined {
    switch (this.#size.use) {
      case "shared":
        return this.#takeShared();
      case "exclusive":
        return this.#takeUnused();
      case "per-stream":
        return this.ending.size < this.#size.most ? this.spares.shift() : undefined;
    }
  }

  /** Takes in one that has started. */
  add(member: Member): void {
    if (this.active.length === 0 && this.#size.use !== "per-stream") this.active.push(member);
    else this.spares.push(member);
  }

  /** Whether it was there. */
  remove(member: Member): boolean {
    return this.ending.delete(member) || removeFrom(this.active, member) || removeFrom(this.spares, member);
  }

  /** How many spares there should be while so many streams wait. */
  wantedSpares(waiting: number): number {
    const { use, most, spares } = this.#size;
    const working = use === "per-stream" ? this.ending.size : this.active.length;
    const room = Math.max(0, most - working);
    switch (use) {
      case "shared":
        return spares + (working === 0 ? 1 : 0);
      case "exclusive":
        return spares + Math.max(working === 0 ? 1 : 0, Math.min(waiting, room));
      case "per-stream":
        return spares + Math.min(waiting, room);
    }
  }

  /** Those that a burst needed and that have done nothing since the last look; they are active no more. */
  takeIdle(): readonly Member[] {
    const idle = this.active.slice(1).filter((member) => {
      const { calls } = member.instance.counters;
      const isIdle = calls === member.callsSeen && member.instance.streams === 0 && member.instance.pending === 0;
      member.callsSeen = calls;
      return isIdle;
    });
    return idle.filter((member) => removeFrom(this.active, member));
  }

  #takeShared(): Member | undefined {
    let best = this.active[0];
    for (const member of this.active) {
      if (best === undefined || best.instance.pending === 0) break;
      if (member.instance.pending < best.instance.pending) best = member;
    }
    const isBusy = best === undefined || best.instance.pending > 0;
    return isBusy ? (this.#grow() ?? best) : best;
  }

  #takeUnused(): Member | undefined {
    for (const member of this.active) if (member.instance.streams === 0) return member;
    return this.#grow();
  }

  #grow(): Member | undefined {
    const spare = this.active.length < this.#size.most ? this.spares.shift() : undefined;
    if (spare !== undefined) this.active.push(spare);
    return spare;
  }
}

function removeFrom(members: Member[], member: Member): boolean {
  const index = members.indexOf(member);
  if (index >= 0) members.splice(index, 1);
  return index >= 0;
}
