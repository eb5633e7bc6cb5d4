/** What a benchmark found, beside what was wanted. */
export interface Figure {
  /** What was measured, in a few words. */
  readonly what: string;
  /** Ours, with its unit. */
  readonly measured: string;
  /** What it is compared with: a name and its number, with the unit. */
  readonly against?: string;
  /** What the goal speaks of: a ratio, or the number itself. */
  readonly value: number;
  /** The value at most. */
  readonly goal: number;
  /** How the value and the goal are written; by default as a ratio with two digits. */
  readonly format?: (value: number) => string;
}

const asRatio = (value: number): string => `${value.toFixed(2)}×`;

/** The table of one benchmark. `finish` prints it, says one line of summary and sets the exit code. */
export class Figures {
  readonly #rows: string[][] = [];
  readonly #title: string;
  #met = 0;
  #missed = 0;
  #notMeasured = 0;

  constructor(title: string) {
    this.#title = title;
  }

  /** Adds a row, tells it at once, and gives whether the goal was met. */
  add({ what, measured, against = "", value, goal, format = asRatio }: Figure): boolean {
    const isMet = value <= goal;
    if (isMet) this.#met++;
    else this.#missed++;
    const verdict = isMet ? "met" : "MISSED";
    this.#rows.push([what, measured, against, format(value), `≤ ${format(goal)}`, verdict]);
    console.log(`${what}: ${measured}${against === "" ? "" : `, ${against}`}: ${format(value)}, ${verdict}`);
    return isMet;
  }

  /** Adds a row without a number. */
  addNotMeasured(what: string, why: string): void {
    this.#notMeasured++;
    this.#rows.push([what, "", why, "", "", "not measured"]);
    console.log(`${what}: not measured: ${why}`);
  }

  finish(): void {
    console.log("");
    printTable(["what", "measured", "against", "value", "goal", "verdict"], this.#rows);
    const missed = this.#missed === 0 ? "" : `, ${this.#missed} MISSED`;
    const unknown = this.#notMeasured === 0 ? "" : `, ${this.#notMeasured} not measured`;
    console.log(`\n${this.#title}: ${this.#met} goals met${missed}${unknown}`);
    process.exitCode = this.#missed === 0 ? 0 : 1;
  }
}

/** A Markdown table that reads well on a terminal, too. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? "").padEnd(width)).join(" | ")} |`;
  console.log(line(head));
  console.log(`|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`);
  for (const row of rows) console.log(line(row));
}
