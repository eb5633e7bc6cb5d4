import { ConfigurationError, formatPath, type Mistake } from "../config/mistake.ts";
import type { Configuration } from "../config/schema.ts";
import { unknownFunction } from "../proxy-wasm/known-functions.ts";
import type { CliOptions } from "./cli.ts";

/** `outrigger check [FILE]`: says whether a configuration file is good, and everything that is wrong with it. */
export async function check(file: string, load: CliOptions["load"], out: CliOptions["out"]): Promise<number> {
  const { configuration } = await load(file);
  const mistakes = unknownFunctions(configuration.plugins.grants);
  if (mistakes.length > 0) throw new ConfigurationError(file, mistakes);
  out(`${file} is good`);
  return 0;
}

/** The sidecar starts all the same; the plugin is refused for them when it comes. */
function unknownFunctions(grants: Configuration["plugins"]["grants"]): Mistake[] {
  return Object.entries(grants).flatMap(([plugin, { allowedFunctions = [] }]) =>
    allowedFunctions.flatMap((name, index) => {
      const why = unknownFunction(name);
      const path = formatPath(["plugins", "grants", plugin, "allowedFunctions", index]);
      return why === undefined ? [] : [{ path, message: `'${name}' ${why}` }];
    }),
  );
}
