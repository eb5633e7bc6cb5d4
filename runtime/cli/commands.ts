/** Every command with its words and options: what is parsed, what `help` shows, and what docs/reference/cli.md is made of. */

interface OptionShape {
  /** What stands for its value; absent of one that is on or off. */
  readonly value?: string;
  readonly short?: string;
}

export const optionShapes = {
  admin: { value: "ADDR" },
  "at-once": {},
  canary: { value: "PERCENT" },
  config: { value: "FILE", short: "c" },
  cookie: { value: "NAME[=VALUE]" },
  follow: { short: "f" },
  header: { value: "NAME[=VALUE]" },
  help: { short: "h" },
  http: {},
  json: {},
  language: { value: "LANGUAGE" },
  limit: { value: "N" },
  lines: { value: "N", short: "n" },
  manifest: { value: "FILE" },
  manual: {},
  "minimum-streams": { value: "N" },
  name: { value: "NAME" },
  output: { value: "FILE", short: "o" },
  pull: { value: "always|ifNotPresent" },
  sha256: { value: "DIGEST" },
  staged: {},
  timeout: { value: "DURATION" },
  to: { value: "VERSION|DIGEST" },
  token: { value: "TOKEN" },
  "token-file": { value: "FILE" },
  version: { short: "v" },
  wait: { short: "w" },
  window: { value: "DURATION" },
} as const satisfies Readonly<Record<string, OptionShape>>;

export type OptionName = keyof typeof optionShapes;
export type FlagName = {
  [Name in OptionName]: (typeof optionShapes)[Name] extends { value: string } ? never : Name;
}[OptionName];
export type TextName = Exclude<OptionName, FlagName>;

export interface CommandShape {
  /** One for each word; what stands in brackets may be left out. */
  readonly words: readonly string[];
  readonly summary: string;
  /** What more there is to know, a paragraph each. */
  readonly more?: readonly string[];
  readonly options: Readonly<Partial<Record<OptionName, string>>>;
}

const asking = { admin: "the sidecar's admin address; default $OUTRIGGER_ADMIN, else 127.0.0.1:34999" } as const;
const json = { json: "print the answer of the admin API as JSON, and nothing else, on standard output" } as const;
const changing = {
  ...asking,
  "token-file":
    "a file with the token of the admin API; default $OUTRIGGER_ADMIN_TOKEN, else the file $OUTRIGGER_ADMIN_TOKEN_FILE",
  token: "the token itself, which others on this machine can see in the list of processes",
} as const;
const action = (summary: string): CommandShape => ({ words: ["NAME"], summary, options: { ...changing, ...json } });

export const commands = {
  start: {
    words: [],
    summary: "run the sidecar",
    options: { config: "the configuration; default outrigger.yaml, or built-in defaults when there is none" },
  },
  check: {
    words: ["[FILE]"],
    summary: "say everything that is wrong with a configuration file",
    options: { config: "the same as FILE; default outrigger.yaml" },
  },
  deploy: {
    words: ["FILE|REFERENCE|-"],
    summary: "deploy a module into the running sidecar",
    more: [
      "A FILE is uploaded, with the .yaml and the .sig (its signature) beside it; - uploads what comes on standard input. A REFERENCE, https://… or oci://host/name:tag, is fetched by the sidecar itself.",
      "The options of a rollout change what the manifest says under `rollout`, key by key, where the manifest is at hand: in the file, beside it, or given with --manifest. Of what only the sidecar sees they take the place of the whole `rollout`.",
      "With --wait the command ends when the version is stable, or is not going to be. Interrupting it, or its timeout, leaves the rollout alone.",
    ],
    options: {
      manifest: "a manifest in place of the one beside the module or inside it",
      name: "the plugin that it must be; of a module without a manifest, what it is called",
      sha256: "what the module must have, or of an image its manifest: sha256: and hex",
      pull: "whether what was fetched before will do; default as the reference says: always for URLs and the tag latest",
      canary: "streams that go to the new version while it is on trial",
      header: "requests with this header go to the new version while it is on trial",
      cookie: "requests with this cookie go to it",
      window: "how long it is on trial, at least, such as 30s or 10m",
      "minimum-streams": "fewest of its streams that must have ended before it is judged",
      manual: "it is promoted by hand only; it is still rolled back by itself",
      staged: "start it, and let it wait for `outrigger resume` or `outrigger promote`",
      "at-once": "it takes over at once, whatever its manifest says",
      wait: "wait until it is stable",
      timeout: "how long to wait, for the deploy too; default 30m",
      ...changing,
      ...json,
    },
  },
  plugins: {
    words: ["[NAME]"],
    summary: "show what is deployed in the running sidecar, or all that is known of one plugin",
    options: { ...asking, ...json },
  },
  promote: action("make the version on trial, or staged, the stable one"),
  abort: action("end the trial; the stable version has all traffic again"),
  pause: action("keep the version on trial at its share, without judging it"),
  resume: action("go on with a paused trial, or begin that of a staged version"),
  rollback: {
    words: ["NAME"],
    summary: "end a trial, or go back to the version before",
    options: { to: "one of the versions kept, which `outrigger plugins NAME` shows", ...changing, ...json },
  },
  undeploy: action("take a plugin out of service, with its versions"),
  history: {
    words: ["NAME"],
    summary: "show what was done with a plugin, by whom and when, the newest first",
    options: { limit: "most entries, up to 1000; default 100", ...asking, ...json },
  },
  logs: {
    words: ["NAME"],
    summary: "show the last lines that a plugin logged",
    options: {
      follow: "go on with each new line",
      lines: "most lines that are there already, up to 1000; default 100",
      ...changing,
      json: "print each line as JSON",
    },
  },
  new: {
    words: ["service", "NAME"],
    summary: "write a project for a service of your own into ./NAME",
    more: [
      "It is a WebAssembly component in TypeScript, with a manifest, tests that need no sidecar, and what builds it: `npm install`, `npm test`, `npm run build`, `npm run deploy`.",
    ],
    options: {
      language: "what it is written in; default typescript, the only one",
      http: "it takes requests through wasi:http and has what browsers have, in 14 MB in place of 1.8 MB",
    },
  },
  pack: {
    words: ["FILE.wasm"],
    summary: "put a manifest into its module",
    options: { manifest: "default the one beside the module", output: "where to write it; default in place" },
  },
  inspect: {
    words: ["FILE|REFERENCE"],
    summary: "say what a module is, needs and asks for, and whether it could run here",
    more: ["It comes from a file, https://… or oci://host/name:tag, as plugins.sources and plugins.signatures say."],
    options: { config: "the configuration with plugins.sources and plugins.signatures", json: "print it as JSON" },
  },
  version: { words: [], summary: "print the version", options: {} },
  help: { words: ["[COMMAND]"], summary: "show the commands, or all about one", options: {} },
} as const satisfies Readonly<Record<string, CommandShape>>;

export type CommandName = keyof typeof commands;

export const isCommand = (name: string): name is CommandName => Object.hasOwn(commands, name);

/** `deploy FILE|REFERENCE|- [options]`. */
export function synopsisOf(name: CommandName): string {
  const { words, options }: CommandShape = commands[name];
  return [name, ...words, ...(Object.keys(options).length === 0 ? [] : ["[options]"])].join(" ");
}

/** `-o, --output FILE`. */
export function optionText(name: OptionName): string {
  const { value, short }: OptionShape = optionShapes[name];
  return `${short === undefined ? "" : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`;
}

/** Every option of a command, in the order of the table, with what it says. */
export const optionsOf = (name: CommandName): [OptionName, string][] =>
  Object.entries(commands[name].options) as [OptionName, string][];
