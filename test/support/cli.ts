import { Readable } from "node:stream";
import { cli } from "../../runtime/cli/cli.ts";
import type { Terminal } from "../../runtime/cli/progress.ts";
import { ConfigurationError } from "../../runtime/config/mistake.ts";
import { configurationSchema } from "../../runtime/config/schema.ts";

interface CliSurroundings {
  /** What comes on standard input. */
  readonly input?: Uint8Array;
  readonly terminal?: Terminal;
  readonly interruption?: AbortSignal;
}

/** Runs a command as `main.ts` does; every configuration but `bad.yaml` has what is given. */
export async function runCli(
  parameters: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  configuration: Readonly<Record<string, unknown>> = {},
  { input, terminal, interruption = new AbortController().signal }: CliSurroundings = {},
) {
  const out: string[] = [];
  const err: string[] = [];
  const started: (string | undefined)[] = [];
  const code = await cli(parameters, {
    environment,
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    terminal,
    input: () => Readable.from(input === undefined ? [] : [input]),
    interruption: () => interruption,
    load: async (file) => {
      if (file === "bad.yaml")
        throw new ConfigurationError(file, [{ path: "app.idd", message: "unknown key; did you mean 'id'?" }]);
      return { configuration: configurationSchema.parse(configuration) };
    },
    start: async (file) => {
      started.push(file);
    },
  });
  return { code, out: out.join("\n"), err: err.join("\n"), started };
}
