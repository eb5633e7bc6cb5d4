/** Lines that a plugin may log in a second: all its versions and instances together. */
export const linesPerSecond = 1_000;
const windowMs = 1_000;

/** Told how many lines were left out once it is known, at the end of the second, and how many are not. */
type LeftOut = (lines: number, linesPerSecond: number) => void;

interface Window {
  lines: number;
  leftOut: number;
  /** The last that had a line left out. */
  tell: LeftOut | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** Keeps plugins from flooding the log, which all share: beyond a limit, lines are counted and left out. */
export class PluginLogRates implements Disposable {
  readonly #windows = new Map<string, Window>();

  /** Counts a line of the plugin of that name; false when it is to be left out. */
  of(plugin: string): (leftOut: LeftOut) => boolean {
    const known = this.#windows.get(plugin);
    const window: Window = known ?? { lines: 0, leftOut: 0, tell: undefined, timer: undefined };
    this.#windows.set(plugin, window);
    return (leftOut) => {
      window.timer ??= setTimeout(end, windowMs, window).unref();
      window.lines += 1;
      if (window.lines <= linesPerSecond) return true;
      window.leftOut += 1;
      window.tell = leftOut;
      return false;
    };
  }

  /** Tells what is not told yet. */
  [Symbol.dispose](): void {
    for (const window of this.#windows.values()) {
      clearTimeout(window.timer);
      end(window);
    }
  }
}

function end(window: Window): void {
  const { leftOut, tell } = window;
  window.lines = 0;
  window.leftOut = 0;
  window.tell = undefined;
  window.timer = undefined;
  if (leftOut > 0) tell?.(leftOut, linesPerSecond);
}
