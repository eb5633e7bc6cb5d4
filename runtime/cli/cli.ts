import { parseArgs } from "node:util";
import { ConfigurationError } from "../config/mistake.ts";
import { suggestion } from "../config/nearest.ts";
import type { Configuration } from "../config/schema.ts";
import { version } from "../version.ts";
import { check } from "./check.ts";
import { plugins } from "./plugins.ts";

/** What the command line needs of the rest of the program. */
export interface CliOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
  /** Reads and checks a configuration file; throws ConfigurationError. */
  readonly load: (file: string) => Promise<{ readonly configuration: Configuration }>;
  /** Runs the sidecar until it is told to stop; the default file may be absent, a named one may not. */
  readonly start: (file: string | undefined) => Promise<void>;
}

const usage = `outrigger: a sidecar runtime

  outrigger start [--config FILE]   run the sidecar (default: outrigger.yaml, or built-in defaults when there is none)
  outrigger check [FILE]            say everything that is wrong with a configuration file
  outrigger plugins [--admin ADDR]  show what is deployed in the running sidecar (default: 127.0.0.1:34999)
  outrigger pack FILE.wasm [--manifest FILE.yaml] [-o OUT.wasm]
                                    put a manifest into its module (default: the one beside it, in place)
  outrigger inspect FILE|REFERENCE [--json] [--config FILE]
                                    say what a module is, needs and asks for, and whether it could run here; from a file,
                                    https://… or oci://host/name:tag, as plugins.sources and plugins.signatures say
  outrigger version
  outrigger help

Exit codes: 0 done; 1 it failed, or the module could not run here; 2 wrong usage or a wrong configuration.`;

/** Every command, with how many words may follow it. */
const commands: Readonly<Record<string, number>> = {
  start: 0,
  check: 1,
  plugins: 0,
  pack: 1,
  inspect: 1,
  version: 0,
  help: 0,
};

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
      manifest: { type: "string" },
      output: { type: "string", short: "o" },
      json: { type: "boolean" },
      help: { type: "boolean", short: "h" },
      version: { type: "boolean", short: "v" },
    },
  });
  const [command = values.version === true ? "version" : values.help === true ? "help" : "help", ...rest] = positionals;
  if (values.help === true || command === "help") {
    options.out(usage);
    return 0;
  }
  const [subject] = rest;
  if (rest.length > (commands[command] ?? rest.length))
    return misused(`'${rest.at(-1)}' is one word too many`, options);
  switch (command) {
    case "start":
      await options.start(values.config);
      return 0;
    case "check":
      return check(subject ?? values.config ?? "outrigger.yaml", options.load, options.out);
    case "plugins":
      return plugins(values.admin ?? options.environment["OUTRIGGER_ADMIN"] ?? "127.0.0.1:34999", options.out);
    case "pack":
      if (subject === undefined) return misused("pack needs a file: outrigger pack FILE.wasm", options);
      return (await import("./pack.ts")).pack(subject, { manifest: values.manifest, output: values.output }, options);
    case "inspect": {
      if (subject === undefined) return misused("inspect needs a file or a reference", options);
      const loaded = values.config === undefined ? undefined : await options.load(values.config);
      const { inspect } = await import("./inspect.ts");
      return inspect(subject, { json: values.json === true, plugins: loaded?.configuration.plugins }, options);
    }
    case "version":
      options.out(version);
      return 0;
    default:
      return misused(`there is no command '${command}'; ${suggestion(command, Object.keys(commands))}`, options);
  }
}

function misused(message: string, { err }: CliOptions): number {
  err(`${message}\n\n${usage}`);
  return 2;
}

const isUsage = (error: unknown): boolean =>
  error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
