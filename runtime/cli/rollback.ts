import type { PluginStatus } from "../plugin/status.ts";
import { type CommandCall, changer, nameOf, pathOf } from "./command-call.ts";
import { exitCodes } from "./command-error.ts";
import { askAbout } from "./known-plugin.ts";
import { jsonText, serviceText } from "./status-text.ts";

/** `outrigger rollback NAME`: ends a trial, or goes back to the version before or to one of those kept. */
export async function rollback(call: CommandCall): Promise<number> {
  const name = nameOf(call);
  const to = call.text("to");
  const asked = { method: "POST", path: pathOf(name, "/rollback"), body: to === undefined ? {} : { to } } as const;
  const status = (await askAbout(await changer(call), name, asked)) as PluginStatus;
  call.out(call.is("json") ? jsonText(status) : serviceText(status));
  return exitCodes.done;
}
