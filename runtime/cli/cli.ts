import { parseArgs } from "node:util";
import { ConfigurationError } from "../config/mistake.ts";
import { suggestion } from "../config/nearest.ts";
import { version } from "../version.ts";
import { check } from "./check.ts";
import { plugins } from "./plugins.ts";

/** What the command line needs of the rest of the program. */
export interface CliOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
  /** Reads and checks a configuration file; throws ConfigurationError. */
  readonly load: (file: string) => Promise<unknown>;
  /** Runs the sidecar until it is told to stop; the default file may be absent, a named one may not. */
  readonly start: (file: string | undefined) => Promise<void>;
}

const usage = `outrigger: a sidecar runtime

  outrigger start [--config FILE]   run the sidecar (default: outrigger.yaml, or built-in defaults when there is none)
  outrigger check [FILE]            say everything that is wrong with a configuration file
  outrigger plugins [--admin ADDR]  show what is deployed in the running sidecar (default: 127.0.0.1:34999)
  outrigger version
  outrigger help`;

const commands = ["start", "check", "plugins", "version", "help"];

/** Runs one command and resolves to its exit code: 2 for wrong usage or a wrong configuration, 1 for any other failure. */
export async function cli(parameters: readonly string[], options: CliOptions): Promise<number> {
  try {
    return await run(parameters, options);
  } catch (error) {
    options.err(error instanceof Error ? error.message : String(error));
    return error instanceof ConfigurationError || isUsage(error) ? 2 : 1;
  }
}

async function run(parameters: readonly string[], options: CliOptions): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...parameters],
    allowPositionals: true,
    options: {
      config: { type: "string", short: "c" },
      admin: { type: "string" },
      help: { type: "boolean", short: "h" },
      version: { type: "boolean", short: "v" },
    },
  });
  const [command = values.version === true ? "version" : values.help === true ? "help" : "help", ...rest] = positionals;
  if (values.help === true || command === "help") {
    options.out(usage);
    return 0;
  }
  if (rest.length > (command === "check" ? 1 : 0)) return misused(`'${rest.at(-1)}' is one word too many`, options);
  switch (command) {
    case "start":
      await options.start(values.config);
      return 0;
    case "check":
      return check(rest[0] ?? values.config ?? "outrigger.yaml", options.load, options.out);
    case "plugins":
      return plugins(values.admin ?? options.environment["OUTRIGGER_ADMIN"] ?? "127.0.0.1:34999", options.out);
    case "version":
      options.out(version);
      return 0;
    default:
      return misused(`there is no command '${command}'; ${suggestion(command, commands)}`, options);
  }
}

function misused(message: string, { err }: CliOptions): number {
  err(`${message}\n\n${usage}`);
  return 2;
}

const isUsage = (error: unknown): boolean =>
  error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
