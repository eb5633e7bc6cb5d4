import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { codeOf } from "../../components/thrown.ts";
import { duration } from "../config/scalars.ts";
import { type AdminClient, openAdminClient } from "./admin-client.ts";
import type { CliOptions } from "./cli.ts";
import { misuse } from "./command-error.ts";
import { type FlagName, optionText, type TextName } from "./commands.ts";

/** A command as it was written, and what it may use of the process. */
export interface CommandCall extends CliOptions {
  readonly words: readonly string[];
  text(option: TextName): string | undefined;
  is(option: FlagName): boolean;
}

/** What comes on standard input; a terminal is no module. */
export type Input = Readable & { readonly isTTY?: boolean };

/** The sidecar that the command is for, for questions that need no token. */
export const reader = (call: CommandCall): AdminClient =>
  openAdminClient({ address: addressOf(call), token: undefined });

/** As `reader`, with the token that was given. */
export const changer = async (call: CommandCall): Promise<AdminClient> =>
  openAdminClient({ address: addressOf(call), token: await tokenOf(call) });

const addressOf = ({ text, environment }: CommandCall): string =>
  text("admin") ?? environment["OUTRIGGER_ADMIN"] ?? "127.0.0.1:34999";

async function tokenOf({ text, environment }: CommandCall): Promise<string | undefined> {
  const [given, file] = [text("token"), text("token-file")];
  if (given !== undefined && file !== undefined) throw misuse("give --token or --token-file, not both");
  if (given !== undefined) return checkedToken(given, "--token");
  if (file !== undefined) return tokenIn(file);
  const inEnvironment = environment["OUTRIGGER_ADMIN_TOKEN"];
  if (inEnvironment !== undefined && inEnvironment !== "") return checkedToken(inEnvironment, "OUTRIGGER_ADMIN_TOKEN");
  const path = environment["OUTRIGGER_ADMIN_TOKEN_FILE"];
  return path === undefined || path === "" ? undefined : tokenIn(path);
}

async function tokenIn(file: string): Promise<string> {
  const content = await readFile(file, "utf8").catch((cause: unknown) => {
    const why = codeOf(cause) ?? String(cause);
    throw misuse(`the token cannot be read from ${file} (${why})`);
  });
  return checkedToken(content.trim(), file);
}

/** The message never holds the token. */
function checkedToken(token: string, where: string): string {
  if (/^[\x21-\x7e]{1,4096}$/.test(token)) return token;
  throw misuse(`what is given by ${where} is no token; expected letters, digits and signs, without a space`);
}

/** The one word of a command that needs it. */
export const nameOf = ({ words }: CommandCall): string => words[0] ?? "";

export const pathOf = (name: string, rest = ""): string => `/v1/plugins/${encodeURIComponent(name)}${rest}`;

/** An option that is a number within bounds; undefined when it is not given. */
export function numberOf(
  call: Pick<CommandCall, "text">,
  option: TextName,
  least: number,
  most: number,
): number | undefined {
  const text = call.text(option);
  if (text === undefined) return undefined;
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  const isWhole = option !== "canary";
  if (value >= least && value <= most && (!isWhole || Number.isInteger(value))) return value;
  throw misuse(`${optionText(option)} is not as expected: a ${isWhole ? "whole " : ""}number from ${least} to ${most}`);
}

/** An option that is a duration, in milliseconds; undefined when it is not given. */
export function durationOf(call: Pick<CommandCall, "text">, option: TextName): number | undefined {
  const text = call.text(option);
  if (text === undefined) return undefined;
  const { data, error } = duration.safeParse(text);
  if (data !== undefined && data > 0) return data;
  throw misuse(`--${option} '${text}': ${error?.issues[0]?.message ?? "expected more than no time"}`);
}
