import { type FSWatcher, statSync, watch } from "node:fs";

/** For file systems that send no events, and links into folders that are not watched. */
const pollMs = 2_000;

/** Says that something may have changed in one of the folders: at the system's events, and every 2 seconds. */
export class PathWatch implements Disposable {
  readonly #folders: readonly string[];
  readonly #notify: () => void;
  /** By folder; the identity tells when the name has come to mean another folder. */
  readonly #watched = new Map<string, { readonly watcher: FSWatcher; readonly identity: string }>();
  readonly #poll: NodeJS.Timeout;

  constructor(folders: readonly string[], notify: () => void) {
    this.#folders = folders;
    this.#notify = notify;
    this.#follow();
    this.#poll = setInterval(() => this.#changed(), pollMs).unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#poll);
    for (const folder of this.#folders) this.#close(folder);
  }

  #changed(): void {
    this.#follow();
    this.#notify();
  }

  #follow(): void {
    for (const folder of this.#folders) {
      const found = statSync(folder, { bigint: true, throwIfNoEntry: false });
      const identity = found === undefined ? undefined : `${found.dev}:${found.ino}:${found.birthtimeNs}`;
      if (identity === this.#watched.get(folder)?.identity) continue;
      this.#close(folder);
      if (identity !== undefined) this.#open(folder, identity);
    }
  }

  #open(folder: string, identity: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#changed());
      watcher.on("error", () => this.#close(folder));
      this.#watched.set(folder, { watcher, identity });
    } catch {
      // Too many watches, or not allowed: the poll finds the change.
    }
  }

  #close(folder: string): void {
    this.#watched.get(folder)?.watcher.close();
    this.#watched.delete(folder);
  }
}
