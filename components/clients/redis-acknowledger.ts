import { setTimeout as delay } from "node:timers/promises";
import type { ComponentLog } from "../component.ts";
import { backOffMs } from "./back-off.ts";
import type { RedisConnection } from "./redis.ts";
import { RedisTroubles } from "./redis-troubles.ts";

export interface AcknowledgerOptions {
  readonly connection: RedisConnection;
  readonly log: ComponentLog;
  readonly key: string;
  readonly group: string;
  /** Once it aborts, what cannot be told at once is given up. */
  readonly signal: AbortSignal;
  /** Called whenever the server has been told. */
  told(): void;
}

/** Ids that one command takes. */
const together = 1_000;

/** Tells the server which entries of a group are done, many at a time, as often as it takes. */
export class StreamAcknowledger {
  readonly #options: AcknowledgerOptions;
  readonly #troubles: RedisTroubles;
  /** Ids that are done and of which the server does not know it yet. */
  readonly #done = new Set<string>();
  #telling: Promise<void> | undefined;

  constructor(options: AcknowledgerOptions) {
    this.#options = options;
    this.#troubles = new RedisTroubles(options.log);
  }

  get size(): number {
    return this.#done.size;
  }

  has(id: string): boolean {
    return this.#done.has(id);
  }

  acknowledge(id: string): void {
    this.#done.add(id);
    this.#telling ??= this.#tellAll().finally(() => {
      this.#telling = undefined;
      this.#options.told();
    });
  }

  /** Tells what is left; rejects when that cannot be done now. */
  async finish(): Promise<void> {
    await this.#telling;
    while (this.#done.size > 0) await this.#tell();
  }

  async #tellAll(): Promise<void> {
    const { signal, key, group } = this.#options;
    // Those that end in one turn go together.
    await new Promise(setImmediate);
    for (let failures = 0; this.#done.size > 0; ) {
      try {
        await this.#tell();
        this.#troubles.succeeded();
        failures = 0;
        this.#options.told();
      } catch (error) {
        if (signal.aborted) return;
        this.#troubles.failed(error, { key, group }, "entries cannot be acknowledged now and are tried again");
        await delay(backOffMs(++failures), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #tell(): Promise<void> {
    const { connection, key, group } = this.#options;
    const ids = [...this.#done].slice(0, together);
    await connection.command("xack", key, group, ...ids);
    for (const id of ids) this.#done.delete(id);
  }
}
