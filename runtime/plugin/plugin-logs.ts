/** What plugins logged last, and what they log from now on. */
export interface LogLine {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly level: string;
  readonly version: string;
  readonly message: string;
}

export interface PluginLogLimits {
  /** Lines kept of one plugin. */
  readonly lines: number;
  /** Characters of one line. */
  readonly length: number;
  /** Plugins; those that logged first are forgotten first. */
  readonly plugins: number;
}

const defaultLimits: PluginLogLimits = { lines: 500, length: 4_096, plugins: 256 };
/** Lines that wait for a reader who is slower than the plugin; those beyond are left out. */
const maxWaiting = 1_000;

interface Kept {
  /** A ring: the oldest line lies at `next` once it is full. */
  readonly lines: LogLine[];
  next: number;
}

/** The last lines that each plugin logged. */
export class PluginLogs {
  readonly #limits: PluginLogLimits;
  readonly #kept = new Map<string, Kept>();
  readonly #readers = new Map<string, Set<(line: LogLine) => void>>();

  constructor(limits: PluginLogLimits = defaultLimits) {
    this.#limits = limits;
  }

  add(plugin: string, version: string, level: string, message: string): void {
    const { lines: most, length } = this.#limits;
    const line = { at: Date.now(), level, version, message: message.slice(0, length) };
    const kept = this.#keptOf(plugin);
    if (kept.lines.length < most) kept.lines.push(line);
    else kept.lines[kept.next] = line;
    kept.next = (kept.next + 1) % most;
    const readers = this.#readers.get(plugin);
    if (readers !== undefined) for (const read of readers) read(line);
  }

  /** The last lines, the oldest first. */
  tail(plugin: string, count: number): LogLine[] {
    const kept = this.#kept.get(plugin);
    if (kept === undefined || count <= 0) return [];
    const isFull = kept.lines.length === this.#limits.lines;
    const inOrder = isFull ? [...kept.lines.slice(kept.next), ...kept.lines.slice(0, kept.next)] : kept.lines;
    return inOrder.slice(-count);
  }

  /** The last lines and then each new one, until the signal aborts. */
  async *follow(plugin: string, count: number, signal: AbortSignal): AsyncGenerator<LogLine> {
    const waiting = this.tail(plugin, count);
    let wake = Promise.withResolvers<void>();
    const read = (line: LogLine): void => {
      if (waiting.length < maxWaiting) waiting.push(line);
      wake.resolve();
    };
    const readers = this.#readers.get(plugin) ?? new Set();
    this.#readers.set(plugin, readers.add(read));
    const stop = (): void => wake.resolve();
    signal.addEventListener("abort", stop, { once: true });
    try {
      while (!signal.aborted) {
        for (const line of waiting.splice(0)) yield line;
        if (waiting.length > 0) continue;
        if (!signal.aborted) await wake.promise;
        wake = Promise.withResolvers();
      }
    } finally {
      signal.removeEventListener("abort", stop);
      readers.delete(read);
      if (readers.size === 0) this.#readers.delete(plugin);
    }
  }

  #keptOf(plugin: string): Kept {
    const known = this.#kept.get(plugin);
    if (known !== undefined) return known;
    const oldest = this.#kept.keys().next();
    if (this.#kept.size >= this.#limits.plugins && oldest.done !== true) this.#kept.delete(oldest.value);
    const kept: Kept = { lines: [], next: 0 };
    this.#kept.set(plugin, kept);
    return kept;
  }
}
