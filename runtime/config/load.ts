import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type Document, isAlias, isScalar, LineCounter, parseDocument, visit } from "yaml";
import { z } from "zod";
import { codeOf, messageOf } from "../../components/thrown.ts";
import { crossCheck } from "./cross-check.ts";
import { ConfigurationError, formatPath, type Mistake, type Path } from "./mistake.ts";
import { suggestion } from "./nearest.ts";
import { type Configuration, configurationSchema } from "./schema.ts";
import { type Problem, shownText, validate } from "./validate.ts";

/** One component as configured: its type, what of its settings belongs to the API, and the rest as its own schema made it. */
export interface ComponentSettings {
  readonly type: string;
  readonly keyPrefix: string | undefined;
  /** Of a secret store: the secrets that applications may read. */
  readonly allow?: readonly string[];
  /** Of a binding: the path of the application where its events are posted; default its name. */
  readonly route?: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

export type KindName = keyof Configuration["components"];
export type ConfiguredComponents = { readonly [Kind in KindName]: ReadonlyMap<string, ComponentSettings> };

/** The backends that a configuration may name: kind, type, and how to get the schema of its settings. */
export type KnownComponents = {
  readonly [Kind in KindName]: Readonly<Record<string, () => Promise<{ readonly config: z.ZodObject }>>>;
};

/** A file that was found good, with relative directories resolved against its own. */
export interface LoadedConfiguration {
  /** Absolute; undefined when there was no file and the defaults hold. */
  readonly file: string | undefined;
  /** What the file said, to the letter. */
  readonly text: string;
  readonly configuration: Configuration;
  readonly components: ConfiguredComponents;
}

export interface LoadOptions {
  readonly known: KnownComponents;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Without a file: a component `default` of each kind, in memory, and no plugins. */
const defaults =
  "components: {state: {default: {type: memory}}, pubsub: {default: {type: memory}}, config: {default: {type: memory}}, lock: {default: {type: memory}}, sequencer: {default: {type: memory}}}";

/**
 * Reads and checks a configuration file, or gives the defaults for undefined. Throws ConfigurationError with every
 * mistake at once: of the YAML, of the shape, of component settings, and of names that nothing answers to.
 */
export async function loadConfiguration(file: string | undefined, options: LoadOptions): Promise<LoadedConfiguration> {
  if (file === undefined) return parseConfiguration(defaults, undefined, options);
  const path = resolve(file);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    const code = codeOf(cause);
    const message =
      code === "ENOENT" ? "the file does not exist" : `the file cannot be read (${code ?? String(cause)})`;
    throw new ConfigurationError(file, [{ path: "", message }]);
  }
  // A file that an editor or a full disk left behind must not take every route and component away.
  if (text.trim() === "")
    throw new ConfigurationError(file, [{ path: "", message: "the file is empty; {} takes every default" }]);
  return parseConfiguration(text, path, options);
}

/** As `loadConfiguration`, of a text; relative directories are resolved against the folder of `file`, or the current one. */
export async function parseConfiguration(
  text: string,
  file: string | undefined,
  options: LoadOptions,
): Promise<LoadedConfiguration> {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: true,
    prettyErrors: false,
    logLevel: "error",
  });
  const title = file ?? "configuration";
  const locate = (path: Path): Mistake["position"] => positionOf(document, lines, path);
  const refuse = (problems: readonly Problem[]): never => {
    throw new ConfigurationError(
      title,
      problems.map((problem) => located(problem, locate)),
    );
  };
  if (document.errors.length > 0) {
    const mistakes = document.errors.map((error) => {
      const { line, col } = lines.linePos(error.pos[0]);
      return { path: "", position: { line, column: col }, message: `not valid YAML: ${withoutSource(error.message)}` };
    });
    throw new ConfigurationError(title, mistakes);
  }
  const missing = [...impossibleNames(document), ...substitute(document, options.environment)];
  const input = contentOf(document, title, lines);
  const { value, problems } = validate(configurationSchema, input);
  const components = await checkComponents(input, options.known);
  const found = [...missing, ...problems, ...components.problems];
  if (value === undefined) return refuse(found);
  found.push(...crossCheck(value));
  if (found.length > 0) refuse(found);
  return { file, text, configuration: resolveDirectories(value, file), components: components.components };
}

function located(problem: Problem, locate: (path: Path) => Mistake["position"]): Mistake {
  const position = locate(problem.path);
  const mistake = { path: formatPath(problem.path), message: problem.message };
  return position === undefined ? mistake : { ...mistake, position };
}

/** Keys that would be passed over in silence. */
function impossibleNames(document: Document): Problem[] {
  const problems: Problem[] = [];
  visit(document, {
    Pair(_, pair, ancestors) {
      if (!isScalar(pair.key) || pair.key.value !== "__proto__") return;
      problems.push({
        path: pathOf(ancestors, pair),
        message: "the name is not acceptable: expected any but __proto__",
      });
    },
  });
  return problems;
}

/** Replaces `${NAME}` and `${NAME:-default}` in values; `$${` stands for `${`. A plain scalar may become a number or a truth value, a quoted one stays text. */
function substitute(document: Document, environment: LoadOptions["environment"]): Problem[] {
  const problems: Problem[] = [];
  visit(document, {
    Scalar(key, node, ancestors) {
      if (key === "key" || typeof node.value !== "string" || !node.value.includes("${")) return;
      const replaced = node.value.replace(
        /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g,
        (whole: string, name?: string, fallback?: string) => {
          if (name === undefined) return "${";
          const value = environment[name];
          if (value !== undefined && value !== "") return value;
          if (fallback !== undefined) return fallback;
          problems.push({
            path: pathOf(ancestors, node),
            message: `the environment variable ${name} is not set; set it, or give a default as \${${name}:-value}`,
          });
          return whole;
        },
      );
      node.value = node.type === "PLAIN" ? plainValueOf(replaced) : replaced;
    },
  });
  return problems;
}

/** The number or the truth value that the text is in YAML; any other text stays as it is, whatever its characters mean there. */
function plainValueOf(text: string): unknown {
  const { contents, errors } = parseDocument(text, { prettyErrors: false });
  if (errors.length > 0 || !isScalar(contents) || contents.source !== text) return text;
  return typeof contents.value === "number" || typeof contents.value === "boolean" ? contents.value : text;
}

/** The document with its aliases followed; throws when one leads nowhere, or all of them to more than is reasonable. */
function contentOf(document: Document, title: string, lines: LineCounter): unknown {
  try {
    return document.toJS() ?? {};
  } catch (cause) {
    const lost = aliasToNothing(document);
    if (lost !== undefined) {
      const { line, col } = lines.linePos(lost);
      const message = "not valid YAML: an alias leads nowhere; a text that begins with * needs quotes";
      throw new ConfigurationError(title, [{ path: "", position: { line, column: col }, message }]);
    }
    const why = messageOf(cause);
    throw new ConfigurationError(title, [{ path: "", message: `not valid YAML: ${withoutSource(why)}` }]);
  }
}

/** Where the first alias stands whose anchor there is not: it may be a password that lacks its quotes. */
function aliasToNothing(document: Document): number | undefined {
  let found: number | undefined;
  visit(document, {
    Alias(_, node) {
      if (!isAlias(node) || node.resolve(document) !== undefined) return undefined;
      found = node.range?.[0] ?? 0;
      return visit.BREAK;
    },
  });
  return found;
}

/** Some sentences of the parser end in a colon and the text that they are about, which may be a secret. */
const withoutSource = (message: string): string => message.replace(/: .*$/s, "");

function pathOf(ancestors: readonly unknown[], node: unknown): Path {
  const path: PropertyKey[] = [];
  const chain = [...ancestors, node];
  chain.forEach((one, index) => {
    const next = chain[index + 1];
    if (isPair(one) && isScalar(one.key)) path.push(String(one.key.value));
    if (isSequence(one) && next !== undefined) path.push(one.items.indexOf(next));
  });
  return path;
}

const isPair = (node: unknown): node is { key: unknown } => typeof node === "object" && node !== null && "key" in node;
const isSequence = (node: unknown): node is { items: unknown[]; flow?: boolean } =>
  typeof node === "object" && node !== null && node.constructor.name === "YAMLSeq";

/** The nearest node of the path that exists. */
function positionOf(document: Document, lines: LineCounter, path: Path): Mistake["position"] {
  for (let depth = path.length; depth > 0; depth--) {
    const node: unknown = document.getIn(path.slice(0, depth), true);
    if (typeof node !== "object" || node === null || !("range" in node)) continue;
    const range = node.range;
    if (!Array.isArray(range) || typeof range[0] !== "number") continue;
    const { line, col } = lines.linePos(range[0]);
    return { line, column: col };
  }
  return undefined;
}

/** Settings of components that belong to the API, and the kind that has each. */
const apiSettings = z.strictObject({
  allow: z
    .array(z.string().regex(/^([^*]+\*?|\*)$/, "expected the name of a secret, or the beginning of names and '*'"))
    .optional(),
  route: z
    .string()
    .regex(/^\/[\x21\x22\x24-\x7e]*$/, "expected a path of the application, such as /orders")
    .optional(),
});
const apiSettingOf: Readonly<Partial<Record<KindName, keyof z.output<typeof apiSettings>>>> = {
  secret: "allow",
  binding: "route",
};

/** Checks each component's settings against its own schema, whatever else is wrong with the file. */
async function checkComponents(
  input: unknown,
  known: KnownComponents,
): Promise<{ components: ConfiguredComponents; problems: Problem[] }> {
  const problems: Problem[] = [];
  const section = asRecord(asRecord(input).components);
  const check = async (kind: KindName): Promise<ReadonlyMap<string, ComponentSettings>> => {
    const checked = new Map<string, ComponentSettings>();
    for (const [name, value] of Object.entries(asRecord(section[kind]))) {
      const { type, keyPrefix, ...others } = asRecord(value);
      if (typeof type !== "string") continue;
      const types = Object.keys(known[kind]);
      const definition = Object.hasOwn(known[kind], type) ? await known[kind][type]?.() : undefined;
      const path = ["components", kind, name];
      if (definition === undefined) {
        problems.push({
          path: [...path, "type"],
          message: `${shownText(type)} is not a type of ${kind} component; ${suggestion(type, types)}`,
        });
        continue;
      }
      if (keyPrefix !== undefined && typeof keyPrefix !== "string") {
        problems.push({ path: [...path, "keyPrefix"], message: "expected appid, name, none or a text of its own" });
        continue;
      }
      const isOfApi = ([key]: [string, unknown]): boolean => key === apiSettingOf[kind];
      const ofApi = validate(apiSettings, Object.fromEntries(Object.entries(others).filter(isOfApi)));
      const settings = Object.fromEntries(Object.entries(others).filter((one) => !isOfApi(one)));
      const result = validate(definition.config, settings);
      for (const { path: inner, message } of [...ofApi.problems, ...result.problems]) {
        problems.push({ path: [...path, ...inner], message });
      }
      if (result.value === undefined) continue;
      const { allow = [], route } = ofApi.value ?? {};
      checked.set(name, {
        type,
        keyPrefix,
        ...(kind === "secret" && { allow }),
        ...(route !== undefined && { route }),
        settings: result.value,
      });
    }
    return checked;
  };
  const components = {
    state: await check("state"),
    pubsub: await check("pubsub"),
    config: await check("config"),
    lock: await check("lock"),
    sequencer: await check("sequencer"),
    secret: await check("secret"),
    binding: await check("binding"),
    object: await check("object"),
  };
  return { components, problems };
}

const asRecord = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

function resolveDirectories(configuration: Configuration, file: string | undefined): Configuration {
  const base = file === undefined ? process.cwd() : dirname(file);
  const { data, plugins } = configuration;
  return {
    ...configuration,
    data: { ...data, directory: resolve(base, data.directory) },
    plugins: resolvePlugins(plugins, base),
  };
}

function resolvePlugins(plugins: Configuration["plugins"], base: string): Configuration["plugins"] {
  const { directory, sources, signatures } = plugins;
  const { credentials, ca } = sources;
  return {
    ...plugins,
    ...(directory !== undefined && { directory: resolve(base, directory) }),
    sources: {
      ...sources,
      ...(credentials !== undefined && { credentials: resolve(base, credentials) }),
      ...(ca !== undefined && { ca: resolve(base, ca) }),
    },
    signatures: {
      ...signatures,
      keys: signatures.keys.map((key) => (key.includes("-----BEGIN") ? key : resolve(base, key))),
    },
  };
}
