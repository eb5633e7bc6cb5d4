import { exitMeanings } from "../runtime/cli/command-error.ts";
import {
  type CommandName,
  type CommandShape,
  commands,
  optionsOf,
  optionText,
  synopsisOf,
} from "../runtime/cli/commands.ts";

/** The reference page of the command line. */
export function cliReference(): string {
  const names = Object.keys(commands) as CommandName[];
  return [
    "# The command line",
    "Generated from `runtime/cli/commands.ts` by `npm run gen`. `outrigger help COMMAND` shows the same; [deploying](../guides/deploying.md#the-command-line) tells how it is used.",
    table("command", "what it does", [
      ...names.map((name): [string, string] => [linked(name), commands[name].summary]),
    ]),
    "Progress and errors go to standard error, what was asked for to standard output.",
    "## Exit codes",
    table("code", "what it means", Object.entries(exitMeanings)),
    ...names.filter((name) => optionsOf(name).length > 0).map(section),
    "",
  ]
    .join("\n\n")
    .replace(/\n+$/, "\n");
}

/** A command with options has a section of its own. */
const linked = (name: CommandName): string => {
  const text = code(`outrigger ${synopsisOf(name)}`);
  return optionsOf(name).length === 0 ? text : `[${text}](#${name})`;
};

function section(name: CommandName): string {
  const { summary, more = [] }: CommandShape = commands[name];
  const sentence = `${summary.slice(0, 1).toUpperCase()}${summary.slice(1)}.`;
  const options = optionsOf(name).map(([option, says]): [string, string] => [code(optionText(option)), says]);
  return [
    `## ${name}`,
    code(`outrigger ${synopsisOf(name)}`),
    sentence,
    ...more,
    table("option", "what it does", options),
  ].join("\n\n");
}

const code = (text: string): string => `\`${text}\``;

const table = (left: string, right: string, rows: readonly (readonly [string, string])[]): string =>
  [[left, right], ["---", "---"], ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`)
    .join("\n");
