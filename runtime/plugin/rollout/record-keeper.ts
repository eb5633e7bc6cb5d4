import { messageOf } from "../../../components/thrown.ts";
import { PluginError } from "../plugin-error.ts";
import type { VersionStore } from "../versions.ts";
import { type RolloutState, recordOf } from "./machine.ts";

export interface KeeperOptions {
  readonly name: string;
  /** Without one, there is nothing to be kept. */
  readonly store: Pick<VersionStore, "save"> | undefined;
  /** What is in effect now. */
  readonly state: () => RolloutState;
  /** Runs the task when it is its turn. */
  readonly later: (task: () => Promise<void>) => void;
  /** Told what went wrong where nobody can be told. */
  readonly failed: (error: unknown) => void;
}

const firstRetryMs = 100;
const longestRetryMs = 30_000;

/** Makes durable what is deployed; what is in effect and could not be kept is tried again, less and less often, until it is. */
export class RecordKeeper implements Disposable {
  readonly #options: KeeperOptions;
  #retryMs = firstRetryMs;
  #timer: NodeJS.Timeout | undefined;
  #unkept: string | undefined;
  #isOver = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** Why what is in effect would not be there after a restart, in a sentence; undefined when it would. */
  get unkept(): string | undefined {
    return this.#unkept;
  }

  /** Makes a state durable that is to come into effect; rejects when that is not possible. */
  async save(state: RolloutState): Promise<void> {
    const { name, store } = this.#options;
    await store?.save(recordOf(name, state));
    this.#unkept = undefined;
    this.#retryMs = firstRetryMs;
    clearTimeout(this.#timer);
  }

  /** Makes durable what is in effect, now or later; never rejects. */
  async keep(): Promise<void> {
    const { name, state, failed } = this.#options;
    try {
      await this.save(state());
    } catch (error) {
      const isNew = this.#unkept === undefined;
      this.#unkept = `it is in effect, and not kept yet, which is tried again until it is: ${messageOf(error)}`;
      if (isNew) failed(new PluginError(name, "", "storage", `plugin '${name}' was changed; ${this.#unkept}`));
      this.#tryLater();
    }
  }

  /** Tries no more. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #tryLater(): void {
    if (this.#isOver) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#options.later(async () => {
        if (this.#unkept !== undefined) await this.keep();
      });
    }, this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, longestRetryMs);
  }
}
