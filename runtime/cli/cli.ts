import { parseArgs } from "node:util";
import { messageOf } from "../../components/thrown.ts";
import { ConfigurationError } from "../config/mistake.ts";
import { nearest, suggestion } from "../config/nearest.ts";
import type { Configuration } from "../config/schema.ts";
import type { CommandCall, Input } from "./command-call.ts";
import { CommandError, exitCodes, misuse } from "./command-error.ts";
import {
  type CommandName,
  type CommandShape,
  commands,
  isCommand,
  type OptionName,
  optionShapes,
  synopsisOf,
} from "./commands.ts";
import type { Terminal } from "./progress.ts";

/** What the command line needs of the rest of the program. */
export interface CliOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
  /** Where progress is drawn; undefined where a line for each step is better. */
  readonly terminal?: Terminal | undefined;
  readonly input: () => Input;
  /** Aborts when the user wants the command to end; who asks for it must see to that. */
  readonly interruption: () => AbortSignal;
  /** Reads and checks a configuration file; throws ConfigurationError. */
  readonly load: (file: string) => Promise<{ readonly configuration: Configuration }>;
  /** Runs the sidecar until it is told to stop; the default file may be absent, a named one may not. */
  readonly start: (file: string | undefined) => Promise<void>;
}

/** Runs one command and resolves to its exit code; `outrigger help` says what each means. */
export async function cli(parameters: readonly string[], options: CliOptions): Promise<number> {
  try {
    return await run(parameters, options);
  } catch (error) {
    options.err(messageOf(error));
    if (error instanceof CommandError) return error.exitCode;
    return error instanceof ConfigurationError ? exitCodes.usage : exitCodes.failed;
  }
}

async function run(parameters: readonly string[], options: CliOptions): Promise<number> {
  const { values, positionals } = parsed(parameters);
  const [word = values.version === true ? "version" : "help", ...words] = positionals;
  if (!isCommand(word))
    throw misuse(`there is no command '${word}'; ${suggestion(word, Object.keys(commands))}${more()}`);
  const helped = word === "help" ? words[0] : values.help === true ? word : undefined;
  if (word === "help" || values.help === true) {
    if (helped !== undefined && !isCommand(helped))
      throw misuse(`there is no command '${helped}'; ${suggestion(helped, Object.keys(commands))}${more()}`);
    if (words.length > 1) throw misuse(`'${words.at(-1)}' is one word too many${more()}`);
    options.out((await import("./help.ts")).help(positionals.length === 0 ? undefined : helped));
    return exitCodes.done;
  }
  requireShape(word, words, Object.keys(values) as OptionName[]);
  return (await runners[word]())({
    ...options,
    words,
    text: (name) => {
      const value = values[name];
      return typeof value === "string" ? value : undefined;
    },
    is: (name) => values[name] === true,
  });
}

type Values = Readonly<Partial<Record<OptionName, string | boolean>>>;

function parsed(parameters: readonly string[]): { readonly values: Values; readonly positionals: readonly string[] } {
  const names = Object.keys(optionShapes) as OptionName[];
  const shapes = names.map((name) => {
    const { value, short }: { readonly value?: string; readonly short?: string } = optionShapes[name];
    return [name, { type: value === undefined ? "boolean" : "string", ...(short !== undefined && { short }) }] as const;
  });
  try {
    return parseArgs({ args: [...parameters], allowPositionals: true, options: Object.fromEntries(shapes) });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const unknown = /^Unknown option '-+([^']+)'/.exec(error.message)?.[1];
    if (unknown === undefined) throw misuse(`${error.message.split(". ")[0]}${more()}`);
    const near = nearest(unknown, names);
    throw misuse(
      `there is no option '--${unknown}'${near === undefined ? "" : `; did you mean '--${near}'?`}${more()}`,
    );
  }
}

/** Throws when there are too few or too many words, or an option that belongs to another command. */
function requireShape(name: CommandName, words: readonly string[], given: readonly OptionName[]): void {
  const shape: CommandShape = commands[name];
  const fewest = shape.words.filter((word) => !word.startsWith("[")).length;
  if (words.length < fewest)
    throw misuse(`${name} needs ${shape.words.join(" ")}: outrigger ${synopsisOf(name)}${more(name)}`);
  if (words.length > shape.words.length) throw misuse(`'${words.at(-1)}' is one word too many${more(name)}`);
  const known = Object.keys(shape.options);
  const foreign = given.find((option) => !known.includes(option) && option !== name);
  if (foreign === undefined) return;
  const near = nearest(foreign, known);
  const hint = near === undefined ? "" : `; did you mean '--${near}'?`;
  throw misuse(`${name} has no option '--${foreign}'${hint}${more(name)}`);
}

const more = (name?: CommandName): string => `\n'outrigger help${name === undefined ? "" : ` ${name}`}' tells more`;

type Runner = (call: CommandCall) => Promise<number>;

/** Each loads with its command: `outrigger check` has no use for HTTP. */
const runners: Readonly<Record<Exclude<CommandName, "help">, () => Promise<Runner>>> = {
  start: async () => async (call) => {
    await call.start(call.text("config"));
    return exitCodes.done;
  },
  check: async () => {
    const { check } = await import("./check.ts");
    return ({ words, text, load, out }) => check(words[0] ?? text("config") ?? "outrigger.yaml", load, out);
  },
  deploy: async () => (await import("./deploy.ts")).deploy,
  plugins: async () => (await import("./plugins.ts")).plugins,
  promote: () => action("promote"),
  abort: () => action("abort"),
  pause: () => action("pause"),
  resume: () => action("resume"),
  rollback: async () => (await import("./rollback.ts")).rollback,
  undeploy: async () => (await import("./undeploy.ts")).undeploy,
  history: async () => (await import("./history.ts")).history,
  logs: async () => (await import("./logs.ts")).logs,
  new: async () => {
    const { newService } = await import("./new-service.ts");
    return (call) => newService(call.words, { language: call.text("language"), http: call.is("http") }, call);
  },
  pack: async () => {
    const { pack } = await import("./pack.ts");
    return (call) => pack(call.words[0] ?? "", { manifest: call.text("manifest"), output: call.text("output") }, call);
  },
  inspect: async () => {
    const { inspect } = await import("./inspect.ts");
    return async (call) => {
      const file = call.text("config");
      const loaded = file === undefined ? undefined : await call.load(file);
      return inspect(call.words[0] ?? "", { json: call.is("json"), plugins: loaded?.configuration.plugins }, call);
    };
  },
  version: async () => {
    const { version } = await import("../version.ts");
    return async ({ out }) => {
      out(version);
      return exitCodes.done;
    };
  },
};

async function action(name: "promote" | "abort" | "pause" | "resume"): Promise<Runner> {
  const { actOnTrial } = await import("./act-on-trial.ts");
  return (call) => actOnTrial(name, call);
}
