import { access } from "node:fs/promises";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../components/thrown.ts";

/** Why the folder may not be used, as a sentence: another process has it, or it cannot be locked. */
export class FolderRefused extends Error {}

const pollMs = 50;

/**
 * The right to a folder, which one process has at a time. It is SQLite's lock on an empty file, so it is of the system: it ends
 * with its holder, however that ends, and knows processes of other containers, and of other machines where the volume does.
 */
export class FolderLock implements Disposable {
  readonly #folder: string;
  readonly #waitMs: number;
  #held: Promise<void> | undefined;
  #database: DatabaseSync | undefined;
  #isClosed = false;

  /** Waits up to `waitMs` for the process that has it. */
  constructor(folder: string, waitMs: number) {
    this.#folder = folder;
    this.#waitMs = waitMs;
  }

  /** Whether somebody had the folder ever. */
  async wasTaken(): Promise<boolean> {
    return access(this.#path).then(
      () => true,
      () => false,
    );
  }

  /** Resolves when this process has the folder, which must be there. Rejects with FolderRefused when another one keeps it. */
  take(): Promise<void> {
    if (this.#isClosed) return Promise.reject(new FolderRefused(`${this.#folder} was given up; restart the sidecar`));
    this.#held ??= this.#take().catch((error: unknown) => {
      this.#held = undefined;
      throw error;
    });
    return this.#held;
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#database?.close();
    this.#database = undefined;
  }

  get #path(): string {
    return join(this.#folder, "lock");
  }

  async #take(): Promise<void> {
    // It takes some megabytes, which a sidecar that keeps no plugins need not have.
    const { DatabaseSync } = await import("node:sqlite");
    const lateMs = performance.now() + this.#waitMs;
    while (!this.#isClosed) {
      let database: DatabaseSync | undefined;
      try {
        database = new DatabaseSync(this.#path, { timeout: 0 });
        database.exec("BEGIN EXCLUSIVE");
        this.#database = database;
        return;
      } catch (error) {
        database?.close();
        if (!isBusy(error)) {
          throw new FolderRefused(`${this.#path} cannot be locked: ${messageOf(error)}`, { cause: error });
        }
      }
      if (performance.now() >= lateMs) {
        throw new FolderRefused(`another sidecar has ${this.#folder}; give each one a data.directory of its own`);
      }
      await sleep(pollMs);
    }
    throw new FolderRefused(`${this.#folder} was given up`);
  }
}

const busy = 5;

const isBusy = (error: unknown): boolean =>
  error instanceof Error && "errcode" in error && typeof error.errcode === "number" && (error.errcode & 0xff) === busy;
