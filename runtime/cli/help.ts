import { exitMeanings } from "./command-error.ts";
import { type CommandName, type CommandShape, commands, optionsOf, optionText, synopsisOf } from "./commands.ts";

const width = 110;

/** What `outrigger help` prints: every command, or all about one. */
export function help(name?: CommandName): string {
  return name === undefined ? overview() : about(name);
}

function overview(): string {
  const names = Object.keys(commands) as CommandName[];
  const rows = names.map((name): [string, string] => [`outrigger ${synopsisOf(name)}`, commands[name].summary]);
  return [
    "outrigger: a sidecar runtime",
    columns(rows),
    "'outrigger help COMMAND' tells its options. Exit codes:",
    exitCodesText(Object.keys(exitMeanings).map(Number)),
  ].join("\n\n");
}

function about(name: CommandName): string {
  const { summary, more = [] }: CommandShape = commands[name];
  const options = optionsOf(name);
  return [
    `outrigger ${synopsisOf(name)}`,
    wrap(`${summary.slice(0, 1).toUpperCase()}${summary.slice(1)}.`, 0),
    ...more.map((paragraph) => wrap(paragraph, 0)),
    ...(options.length === 0 ? [] : [columns(options.map(([option, says]) => [optionText(option), says]))]),
    ...("admin" in commands[name].options ? ["Exit codes:", exitCodesText([0, 1, 2, 3, 4, 5, 130])] : []),
  ].join("\n\n");
}

const exitCodesText = (codes: readonly number[]): string =>
  columns(codes.map((code) => [String(code), exitMeanings[code as keyof typeof exitMeanings]]));

function columns(rows: readonly (readonly [string, string])[]): string {
  const left = Math.max(...rows.map(([head]) => head.length)) + 4;
  return rows.map(([head, text]) => `  ${head}`.padEnd(left) + wrap(text, left)).join("\n");
}

/** Lines of `width`, each but the first after `indent` spaces. */
function wrap(text: string, indent: number): string {
  let column = indent;
  let wrapped = "";
  for (const word of text.split(" ")) {
    const isFirst = wrapped === "";
    if (!isFirst && column + 1 + word.length > width) {
      wrapped += `\n${" ".repeat(indent)}`;
      column = indent;
    } else if (!isFirst) {
      wrapped += " ";
      column++;
    }
    wrapped += word;
    column += word.length;
  }
  return wrapped;
}
