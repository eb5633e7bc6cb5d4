import type { PluginStatus } from "../plugin/status.ts";
import { type CommandCall, changer, nameOf, pathOf } from "./command-call.ts";
import { exitCodes } from "./command-error.ts";
import { askAbout } from "./known-plugin.ts";
import { printable } from "./printable.ts";
import { jsonText } from "./status-text.ts";

/** `outrigger undeploy NAME`: takes a plugin out of service, with its versions. */
export async function undeploy(call: CommandCall): Promise<number> {
  const name = nameOf(call);
  const asked = { method: "DELETE", path: pathOf(name) } as const;
  const status = (await askAbout(await changer(call), name, asked)) as PluginStatus;
  call.out(call.is("json") ? jsonText(status) : printable(`${status.name} ${status.version} is out of service`));
  return exitCodes.done;
}
