import { type FSWatcher, statSync, watch } from "node:fs";

interface Watched {
  readonly watcher: FSWatcher;
  /** Which folder it was: one that is removed and made again keeps its name, and the watch is lost. */
  readonly identity: string;
}

/** Watches a set of folders that changes, and says when a name of interest in one of them changed. */
export class FolderWatchers implements Disposable {
  readonly #notify: () => void;
  readonly #watched = new Map<string, Watched>();
  #interests: ReadonlyMap<string, ReadonlySet<string> | undefined> = new Map();

  constructor(notify: () => void) {
    this.#notify = notify;
  }

  /**
   * Watches exactly these folders, for these names or for every name. True when some are watched that were not before, so
   * that a change in them may have been missed. What cannot be watched is left to the next look.
   */
  follow(interests: ReadonlyMap<string, ReadonlySet<string> | undefined>): boolean {
    this.#interests = interests;
    let isNew = false;
    for (const folder of this.#watched.keys()) if (!interests.has(folder)) this.#close(folder);
    for (const folder of interests.keys()) {
      const identity = identityOf(folder);
      if (identity === this.#watched.get(folder)?.identity) continue;
      this.#close(folder);
      if (identity !== undefined && this.#open(folder, identity)) isNew = true;
    }
    return isNew;
  }

  [Symbol.dispose](): void {
    for (const folder of [...this.#watched.keys()]) this.#close(folder);
  }

  #open(folder: string, identity: string): boolean {
    try {
      const watcher = watch(folder, (_, name) => {
        const names = this.#interests.get(folder);
        if (name === null || names === undefined || names.has(name)) this.#notify();
      });
      watcher.on("error", () => {
        this.#close(folder);
        this.#notify();
      });
      this.#watched.set(folder, { watcher, identity });
      return true;
    } catch {
      return false;
    }
  }

  #close(folder: string): void {
    this.#watched.get(folder)?.watcher.close();
    this.#watched.delete(folder);
  }
}

function identityOf(folder: string): string | undefined {
  const found = statSync(folder, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.dev}:${found.ino}:${found.birthtimeNs}`;
}
