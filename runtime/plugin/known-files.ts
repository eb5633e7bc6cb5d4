import { basename } from "node:path";
import type { PluginFile } from "./directory-scan.ts";

/** What is known of one `.wasm` of the directory. */
export interface KnownFile {
  /** As it was at the last look. */
  signature: string;
  /** When it was first seen so. */
  sinceMs: number;
  /** Whether module and manifest were whole at the last look. */
  isWhole: boolean;
  /** As it was when it was deployed or refused. */
  handled: string | undefined;
  /** What was last said to be wrong with it, and as what. */
  told: string;
  /** When it was first seen not to be there, if it is not. */
  goneMs: number | undefined;
  /** Plugins that were deployed from it, or refused because of it. */
  readonly names: Set<string>;
  /** The name it wants that another file has. */
  wants: string | undefined;
}

/** What a look found to have changed since the one before. */
export interface Compared {
  /** Changed, and quiet since. */
  readonly settled: readonly PluginFile[];
  /** Changed since the last look. */
  readonly changed: readonly PluginFile[];
  /** Whether others are not quiet yet, or are gone and may come back. */
  readonly isUnsettled: boolean;
}

/** What follows from names that files gave up. */
export interface Freed {
  /** Whether other files waited for some of them. */
  readonly isInherited: boolean;
  /** Names that no file has or wants. */
  readonly orphans: readonly string[];
}

/** A cut off file is said to be broken when nothing came of it for so many times as long as others must be quiet. */
const patience = 10;
/** What is whole, manifest included, is waited for so much less. */
const wholeShare = 0.6;
/** Longer than a tick of the clock that stamps files. */
const youngMs = 1_000;

/** The files of the plugins directory from look to look: which are quiet, and which has the name of which plugin. */
export class KnownFiles {
  readonly #files = new Map<string, KnownFile>();
  readonly #quietMs: number;

  /** A file is settled when it has not changed for `quietMs`. */
  constructor(quietMs: number) {
    this.#quietMs = quietMs;
  }

  /** The plugin was deployed from that file before the start. */
  remember(plugin: string, path: string): void {
    const stem = basename(path, ".wasm");
    // A file that is not there at the first look went before the start.
    const known = this.#files.get(stem) ?? { ...newFile(), goneMs: Number.NEGATIVE_INFINITY };
    known.names.add(plugin);
    this.#files.set(stem, known);
  }

  get({ stem }: PluginFile): KnownFile | undefined {
    return this.#files.get(stem);
  }

  /** Which files have changed, and which have been quiet since. */
  compare(files: ReadonlyMap<string, PluginFile>, isFirst: boolean): Compared {
    // Where there is nothing the clock stays alone, which loads with the first look at it.
    if (files.size + this.#files.size === 0) return { settled: [], changed: [], isUnsettled: false };
    const settled: PluginFile[] = [];
    const changed: PluginFile[] = [];
    const now = performance.now();
    let isUnsettled = false;
    for (const [stem, file] of files) {
      const known = this.#files.get(stem) ?? newFile();
      this.#files.set(stem, known);
      known.goneMs = undefined;
      if (known.signature !== file.signature) {
        known.sinceMs = now;
        known.isWhole = false;
      }
      known.signature = file.signature;
      if (known.handled === file.signature) continue;
      if (isFirst || this.#isPast(known.sinceMs, quietOf(known))) settled.push(file);
      else if (known.sinceMs === now) changed.push(file);
      else isUnsettled = true;
    }
    for (const [stem, known] of this.#files) {
      if (files.has(stem)) continue;
      known.goneMs ??= now;
      isUnsettled = true;
    }
    return { settled, changed, isUnsettled };
  }

  /**
   * The first look does not wait for quiet. A file written within the same tick of the file system's clock as it was read would
   * look unchanged for ever, so young ones are read once more; true when there are some.
   */
  doubtYoung(files: readonly PluginFile[]): boolean {
    const young = files.filter(({ changedMs }) => Date.now() - changedMs < youngMs);
    for (const file of young) {
      const known = this.get(file);
      if (known !== undefined) known.handled = undefined;
    }
    return young.length > 0;
  }

  /** Milliseconds until the next of the files has been quiet for long enough. */
  untilQuiet(): number {
    const now = performance.now();
    let ms = this.#quietMs;
    for (const known of this.#files.values()) {
      const { sinceMs, goneMs } = known;
      const left = goneMs === undefined ? sinceMs + this.#quietMs * quietOf(known) - now : goneMs + this.#quietMs - now;
      if (left > 0) ms = Math.min(ms, Math.ceil(left));
    }
    return ms;
  }

  /** The file as it is now has all that it needs, so that it is waited for only in case that another part is still to change. */
  isWhole({ stem }: PluginFile): void {
    const known = this.#files.get(stem);
    if (known !== undefined) known.isWhole = true;
  }

  /** Whether the rest of a cut off file may still come. */
  mayBecomeWhole({ sinceMs }: KnownFile): boolean {
    return !this.#isPast(sinceMs, patience);
  }

  /** Gives the file that name; when another file has it, the file waits for it, and the other's stem is returned. */
  claim(name: string, known: KnownFile): string | undefined {
    const holder = [...this.#files].find(
      ([, other]) => other !== known && other.goneMs === undefined && other.names.has(name),
    );
    known.wants = holder === undefined ? undefined : name;
    if (holder === undefined) known.names.add(name);
    return holder?.[0];
  }

  /** The file has that name and no other one any more. */
  keepOnly(name: string, known: KnownFile): Freed {
    const former = [...known.names].filter((one) => one !== name);
    for (const one of former) known.names.delete(one);
    return this.#free(former);
  }

  /** Forgets the files that stayed away. */
  forgetGone(): Freed {
    const freed: string[] = [];
    for (const [stem, { goneMs, names }] of this.#files) {
      if (goneMs === undefined || !this.#isPast(goneMs)) continue;
      this.#files.delete(stem);
      freed.push(...names);
    }
    return this.#free(freed);
  }

  /** Whether a file has that name. */
  uses(name: string): boolean {
    return [...this.#files.values()].some(({ names }) => names.has(name));
  }

  #free(names: readonly string[]): Freed {
    const heirs = [...this.#files.values()].filter(({ wants }) => wants !== undefined && names.includes(wants));
    const inherited = heirs.map(({ wants }) => wants);
    for (const heir of heirs) {
      heir.wants = undefined;
      heir.handled = undefined;
    }
    const orphans = names.filter((name) => !inherited.includes(name) && !this.uses(name));
    return { isInherited: heirs.length > 0, orphans };
  }

  /** Whether it was so long ago as a file must be quiet, or so many times as long. */
  #isPast(sinceMs: number, times = 1): boolean {
    // Timers may be early by less than a millisecond.
    return performance.now() - sinceMs >= this.#quietMs * times - 1;
  }
}

const newFile = (): KnownFile => ({
  signature: "",
  sinceMs: 0,
  isWhole: false,
  handled: undefined,
  goneMs: undefined,
  names: new Set(),
  wants: undefined,
  told: "",
});

const quietOf = ({ isWhole }: KnownFile): number => (isWhole ? wholeShare : 1);
