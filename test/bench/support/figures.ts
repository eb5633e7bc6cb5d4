/** What a benchmark found, beside what was wanted. */
import { writeFileSync } from "node:fs";
import { messageOf } from "../../../components/thrown.ts";

export interface Figure {
  /** What was measured, in a few words. */
  readonly what: string;
  /** Ours, with its unit. */
  readonly measured: string;
  /** What it is compared with: a name and its number, with the unit. */
  readonly against?: string;
  /** What the goal speaks of: a ratio, or the number itself. */
  readonly value: number;
  /** The least and the greatest value of the rounds. */
  readonly spread?: readonly [number, number];
  /** The value at most; without a goal the row is only told. */
  readonly goal?: number;
  /** The value at least, in place of `goal`. */
  readonly least?: number;
  /** How the value and the goal are written; by default as a ratio with two digits. */
  readonly format?: (value: number) => string;
}

/** A line of a table, as text. */
export interface FigureRow {
  readonly what: string;
  readonly measured: string;
  readonly against: string;
  readonly value: string;
  readonly goal: string;
  readonly verdict: string;
}

/** What one benchmark leaves for the page of all benchmarks. */
export interface FigureRecord {
  readonly title: string;
  readonly rows: readonly FigureRow[];
  readonly summary: string;
}

/** Names the file that `finish` writes a FigureRecord to; without it, it only prints. */
export const recordVariable = "OUTRIGGER_BENCH_RECORD";

const columns = ["what", "measured", "against", "value", "goal", "verdict"] as const;
const asRatio = (value: number): string => `${value.toFixed(2)}×`;

/** The table of one benchmark. `finish` prints it, says one line of summary and sets the exit code. */
export class Figures {
  readonly #rows: FigureRow[] = [];
  readonly #title: string;
  #met = 0;
  #missed = 0;
  #notMeasured = 0;

  constructor(title: string) {
    this.#title = title;
  }

  /** Adds a row and tells it at once. */
  add({ what, measured, against = "", value, spread, goal, least, format = asRatio }: Figure): void {
    const hasGoal = goal !== undefined || least !== undefined;
    const isMet = value <= (goal ?? Number.POSITIVE_INFINITY) && value >= (least ?? Number.NEGATIVE_INFINITY);
    if (hasGoal && isMet) this.#met++;
    else if (hasGoal) this.#missed++;
    const range = spread === undefined ? "" : ` (${spread.map(format).join(" – ")})`;
    const row = {
      what,
      measured,
      against,
      value: `${format(value)}${range}`,
      goal: [
        ...(goal === undefined ? [] : [`≤ ${format(goal)}`]),
        ...(least === undefined ? [] : [`≥ ${format(least)}`]),
      ].join(" "),
      verdict: !hasGoal ? "told" : isMet ? "met" : "MISSED",
    };
    this.#rows.push(row);
    console.log(`${what}: ${measured}${against === "" ? "" : `, ${against}`}: ${row.value}, ${row.verdict}`);
  }

  /** Adds a row without a number; `why` is a sentence. */
  addNotMeasured(what: string, why: string): void {
    this.#notMeasured++;
    this.#rows.push({ what, measured: "", against: why, value: "", goal: "", verdict: "not measured" });
    console.log(`${what}: not measured: ${why}`);
  }

  /** Adds a row for what broke instead of giving a number: it counts as missed. */
  addFailed(what: string, error: unknown): void {
    this.#missed++;
    const [why = ""] = messageOf(error).split("\n");
    this.#rows.push({ what, measured: "", against: why, value: "", goal: "", verdict: "FAILED" });
    console.log(`${what}: FAILED: ${messageOf(error)}`);
  }

  finish(): void {
    const missed = this.#missed === 0 ? "" : `, ${this.#missed} MISSED`;
    const unknown = this.#notMeasured === 0 ? "" : `, ${this.#notMeasured} not measured`;
    const summary = `${this.#title}: ${this.#met} goals met${missed}${unknown}`;
    console.log(`\n${figureTable(this.#rows)}\n\n${summary}`);
    const file = process.env[recordVariable];
    const record: FigureRecord = { title: this.#title, rows: this.#rows, summary };
    if (file !== undefined) writeFileSync(file, JSON.stringify(record));
    process.exitCode = this.#missed === 0 ? 0 : 1;
  }
}

/** A Markdown table that reads well on a terminal, too. */
export function figureTable(rows: readonly FigureRow[]): string {
  const widths = columns.map((column) => Math.max(column.length, ...rows.map((row) => row[column].length)));
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? "").padEnd(width)).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  return [line(columns), rule, ...rows.map((row) => line(columns.map((column) => row[column])))].join("\n");
}
