import { RuntimeError } from "../error.ts";
import type { EtcdConnection } from "./etcd.ts";

/** A server removes all keys of a lease at once, and should not have to remove too many. */
const mostUses = 1_000;
/** Leases that are remembered to be used again; what is forgotten ends by itself. */
const mostLeases = 1_000;

interface Shared {
  readonly id: Promise<bigint>;
  uses: number;
}

/**
 * Leases of the server that remove keys some time after their life has ended. Keys whose lives end at about the same time have
 * one in common, since a lease costs the server far more than a key.
 */
export class EtcdLeases {
  readonly #connection: EtcdConnection;
  readonly #slackMs: number;
  /** By the end of the lease, counted in slacks. */
  readonly #shared = new Map<number, Shared>();

  /** A lease outlasts a key by `slackMs` at most, and by what the server adds: it counts in seconds and knows none under two. */
  constructor(connection: EtcdConnection, slackMs: number) {
    this.#connection = connection;
    this.#slackMs = slackMs;
  }

  /**
   * Does the work with the id of a lease for each of the lives, counted from now, 0 for one without end; again with other ones
   * when the server knows one no more.
   */
  async with<T>(livesMs: readonly (number | undefined)[], work: (leases: readonly bigint[]) => Promise<T>): Promise<T> {
    const taken = livesMs.map((lifeMs) => this.#take(lifeMs));
    try {
      return await work(await Promise.all(taken));
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.reason !== "ETCD_LEASE_GONE") throw error;
      this.#shared.clear();
      return work(await Promise.all(livesMs.map((lifeMs) => this.#take(lifeMs))));
    }
  }

  #take(lifeMs: number | undefined): Promise<bigint> {
    if (lifeMs === undefined) return Promise.resolve(0n);
    const nowMs = performance.now();
    const end = Math.floor((nowMs + lifeMs) / this.#slackMs) + 1;
    let shared = this.#shared.get(end);
    if (shared === undefined || shared.uses >= mostUses) {
      shared = this.#grant(end, Math.ceil((end * this.#slackMs - nowMs) / 1_000));
    }
    shared.uses++;
    return shared.id;
  }

  #grant(end: number, seconds: number): Shared {
    const shared = { id: this.#connection.grant(seconds), uses: 0 };
    this.#shared.set(end, shared);
    shared.id.catch(() => {
      if (this.#shared.get(end) === shared) this.#shared.delete(end);
    });
    this.#makeRoom();
    return shared;
  }

  /** Forgets the one that was made first. */
  #makeRoom(): void {
    if (this.#shared.size <= mostLeases) return;
    for (const end of this.#shared.keys()) {
      this.#shared.delete(end);
      return;
    }
  }
}
