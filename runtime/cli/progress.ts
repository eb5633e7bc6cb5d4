import { printable } from "./printable.ts";

/** Where a line can be drawn anew; a terminal of Node's is one. */
export interface Terminal {
  readonly columns?: number;
  write(text: string): unknown;
}

/** Tells what a command is doing: on a terminal with one line that is drawn anew, elsewhere a line for each step that has ended. */
export interface Progress extends Disposable {
  /** A step has ended. */
  step(name: string, ms: number, note?: string): void;
  /** How far a step is that goes on. */
  bytes(name: string, done: number, total: number | undefined): void;
  /** What goes on now; drawn on a terminal only. */
  now(text: string): void;
  /** A line that stays. */
  say(text: string): void;
}

/** The line is drawn anew no more often. */
const redrawMs = 80;
const barWidth = 24;
const clearLine = "\r\u001b[K";

export function openProgress(terminal: Terminal | undefined, err: (line: string) => void): Progress {
  let isDrawn = false;
  let drawnAt = Number.NEGATIVE_INFINITY;
  let current: { readonly name: string; readonly begin: number } | undefined;
  const clear = (): void => {
    if (isDrawn) terminal?.write(clearLine);
    isDrawn = false;
    drawnAt = Number.NEGATIVE_INFINITY;
  };
  const say = (text: string): void => {
    clear();
    err(printable(text));
  };
  const draw = (text: string): void => {
    if (terminal === undefined) return;
    terminal.write(`${clearLine}${printable(text).slice(0, (terminal.columns ?? 80) - 1)}`);
    isDrawn = true;
    drawnAt = performance.now();
  };
  return {
    step: (name, ms, note) =>
      say(`  ${name.padEnd(8)} ${durationText(ms).padStart(8)}${note === undefined ? "" : `  ${note}`}`),
    bytes: (name, done, total) => {
      const at = performance.now();
      if (current?.name !== name) current = { name, begin: at };
      if (at - drawnAt >= redrawMs || done === total) draw(barText(name, done, total, at - current.begin));
    },
    now: draw,
    say,
    [Symbol.dispose]: clear,
  };
}

function barText(name: string, done: number, total: number | undefined, ms: number): string {
  const rate = ms < redrawMs ? "" : `  ${bytesText((done / ms) * 1_000)}/s`;
  if (total === undefined || total === 0) return `  ${name.padEnd(8)} ${bytesText(done)}${rate}`;
  const share = Math.min(1, done / total);
  const bar = "#".repeat(Math.floor(share * barWidth)).padEnd(barWidth, ".");
  return `  ${name.padEnd(8)} [${bar}] ${Math.floor(share * 100)} %  ${bytesText(done)} of ${bytesText(total)}${rate}`;
}

/** Such as `12.3 MiB`. */
export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${Math.round(bytes)} B`;
  const [unit, size] = bytes < 1024 ** 2 ? ["KiB", 1024] : ["MiB", 1024 ** 2];
  return `${(bytes / size).toFixed(1)} ${unit}`;
}

/** Such as `12.3 ms`, `4.5 s`, `3 min 20 s`. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${ms.toFixed(1)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
