import type { LogLine } from "../plugin/plugin-logs.ts";
import { type CommandCall, changer, nameOf, numberOf, pathOf } from "./command-call.ts";
import { CommandError, exitCodes } from "./command-error.ts";
import { requirePlugin } from "./known-plugin.ts";
import { printable } from "./printable.ts";
import { timeText } from "./status-text.ts";

/** `outrigger logs NAME`: the last lines that a plugin logged, and with --follow each new one until it is interrupted. */
export async function logs(call: CommandCall): Promise<number> {
  const name = nameOf(call);
  const lines = numberOf(call, "lines", 1, 1_000) ?? 100;
  const isFollowing = call.is("follow");
  const client = await changer(call);
  await requirePlugin(client, name);
  const path = pathOf(name, `/logs?tail=${lines}${isFollowing ? "&follow=true" : ""}`);
  for await (const line of client.lines({ path })) {
    call.out(call.is("json") ? JSON.stringify(line) : lineText(line as LogLine));
  }
  if (isFollowing) throw new CommandError(exitCodes.failed, `the sidecar at ${client.host} has ended the log`);
  return exitCodes.done;
}

const lineText = ({ at, level, version, message }: LogLine): string =>
  printable(`${timeText(at)} ${level.padEnd(5)} ${version} ${message}`);
