/** The matrix as tables: one a kind, with a row for each check and a column for each line. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { catalog } from "../../components/catalog.ts";
import type { Outcome } from "./checks.ts";
import type { NotedLine } from "./matrix.ts";

export interface MatrixTable {
  readonly kind: string;
  /** In the order of the catalog. */
  readonly lines: readonly NotedLine[];
  /** `undefined` where the suite of a line had no such check. */
  readonly rows: readonly { readonly check: string; readonly outcomes: readonly (Outcome | undefined)[] }[];
}

export const columnOf = ({ type, variant }: NotedLine): string =>
  variant === undefined ? type : `${type} (${variant})`;

/** Every line of the matrix with the checks that it would run, found without running any. */
export function recordedLines(): NotedLine[] {
  const folder = mkdtempSync(join(tmpdir(), "outrigger-matrix-"));
  const file = join(folder, "lines");
  try {
    execFileSync(process.execPath, ["test/conformance/record.ts", file], { stdio: ["ignore", "ignore", "inherit"] });
    return linesIn(readFileSync(file, "utf8"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Every line that the processes of a test run left in the folder. */
export const leftLines = (folder: string): NotedLine[] =>
  readdirSync(folder).flatMap((name) => linesIn(readFileSync(join(folder, name), "utf8")));

const linesIn = (text: string): NotedLine[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): NotedLine => JSON.parse(line));

/** The tables of all kinds that have lines. */
export function tablesOf(lines: readonly NotedLine[]): MatrixTable[] {
  return Object.entries(catalog).flatMap(([kind, types]) => {
    const order = Object.keys(types);
    const ofKind = lines
      .filter((line) => line.kind === kind)
      .sort((one, other) => order.indexOf(one.type) - order.indexOf(other.type) || compare(one, other));
    const checks = new Set(ofKind.flatMap(({ outcomes }) => Object.keys(outcomes)));
    const rows = [...checks].map((check) => ({ check, outcomes: ofKind.map(({ outcomes }) => outcomes[check]) }));
    return ofKind.length === 0 ? [] : [{ kind, lines: ofKind, rows }];
  });
}

const compare = (one: NotedLine, other: NotedLine): number => (columnOf(one) < columnOf(other) ? -1 : 1);

/** The table for a terminal. */
export function printed({ kind, lines, rows }: MatrixTable): string {
  const heads = lines.map(columnOf);
  const widest = Math.max(kind.length, ...rows.map(({ check }) => check.length));
  const lineOf = (first: string, cells: readonly string[]): string =>
    [first.padEnd(widest), ...cells.map((cell, index) => cell.padEnd(heads[index]?.length ?? 0))].join("  ").trimEnd();
  return [
    lineOf(kind.toUpperCase(), heads),
    ...rows.map(({ check, outcomes }) =>
      lineOf(
        check,
        outcomes.map((outcome) => outcome ?? ""),
      ),
    ),
  ].join("\n");
}
