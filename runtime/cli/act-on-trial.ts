import type { PluginStatus } from "../plugin/status.ts";
import { type CommandCall, changer, nameOf, pathOf } from "./command-call.ts";
import { exitCodes } from "./command-error.ts";
import { askAbout } from "./known-plugin.ts";
import { jsonText, serviceText } from "./status-text.ts";

/** `outrigger promote|abort|pause|resume NAME`: what is done to a trial by hand. */
export async function actOnTrial(action: "promote" | "abort" | "pause" | "resume", call: CommandCall): Promise<number> {
  const name = nameOf(call);
  const asked = { method: "POST", path: pathOf(name, `/${action}`), body: {} } as const;
  const status = (await askAbout(await changer(call), name, asked)) as PluginStatus;
  call.out(call.is("json") ? jsonText(status) : serviceText(status));
  return exitCodes.done;
}
