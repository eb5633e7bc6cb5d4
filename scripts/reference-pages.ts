import { z } from "zod";
import { catalog } from "../components/catalog.ts";
import { configurationSchema } from "../runtime/config/schema.ts";
import { manifestSchema } from "../runtime/plugin/manifest.ts";

const components = await Promise.all(
  Object.entries(catalog).flatMap(([kind, types]) =>
    Object.entries(types).map(async ([type, load]) => ({ kind, type, schema: (await load()).config })),
  ),
);

interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly required?: readonly string[];
}

const toJsonSchema = (schema: z.ZodType): JsonSchema =>
  z.toJSONSchema(schema, { io: "input", unrepresentable: "any", target: "draft-2020-12" }) as JsonSchema;

/** The JSON Schema of outrigger.yaml, for editors. */
export function configurationSchemaJson(): string {
  const schema = { title: "outrigger.yaml", ...toJsonSchema(configurationSchema) };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

/** The reference page of outrigger.yaml: every key with its meaning, and the settings of every component. */
export function configurationReference(): string {
  const sections = components.map(({ kind, type, schema }) => {
    const rows = [...rowsOf(toJsonSchema(schema), "")];
    const settings = rows.length === 0 ? "No settings." : tableOf(rows);
    return `### ${kind}: \`${type}\`\n\n${settings}`;
  });
  return [
    "# outrigger.yaml",
    "Generated from `runtime/config/schema.ts` and the components' own schemas by `npm run gen`.",
    "An unknown key is an error. `${NAME}` and `${NAME:-default}` in a value are taken from the environment; `$${` stands for `${`.",
    "## Keys",
    tableOf([...rowsOf(toJsonSchema(configurationSchema), "")]),
    "## Components",
    "Beside its own settings every component has a `type`, and state, lock and sequencer components a `keyPrefix`. A binding that brings events in may have a `route`, the path of the application where they are posted when it does not take them over gRPC; default `/` and its name.",
    ...sections,
    "",
  ]
    .join("\n\n")
    .replace(/\n+$/, "\n");
}

/** The reference page of a plugin's manifest. */
export function manifestReference(): string {
  const schema = toJsonSchema(manifestSchema);
  return [
    "# A plugin's manifest",
    "Generated from `runtime/plugin/manifest.ts` by `npm run gen`.",
    "`NAME.yaml` beside `NAME.wasm`. An unknown key is an error. A module without a manifest is a filter named after its file, with no capabilities.",
    tableOf([...rowsOf(schema, "")]),
    "",
  ]
    .join("\n\n")
    .replace(/\n+$/, "\n");
}

type Row = readonly [key: string, type: string, fallback: string, meaning: string];

function* rowsOf(schema: JsonSchema, path: string): Generator<Row> {
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    const at = path === "" ? key : `${path}.${key}`;
    if (property.description !== undefined) yield [at, typeOf(property), defaultOf(property), property.description];
    yield* nestedRows(property, at);
  }
}

function* nestedRows(schema: JsonSchema, path: string): Generator<Row> {
  if (schema.properties !== undefined) yield* rowsOf(schema, path);
  if (typeof schema.additionalProperties === "object") yield* nestedRows(schema.additionalProperties, `${path}.NAME`);
  if (schema.items !== undefined) yield* nestedRows(schema.items, `${path}[]`);
  for (const alternative of schema.anyOf ?? []) yield* nestedRows(alternative, path);
}

function typeOf(schema: JsonSchema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(", ");
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(typeOf))].join(" or ");
  if (schema.items !== undefined) return `list of ${typeOf(schema.items)}`;
  return [schema.type ?? "any"].flat().join(" or ");
}

const defaultOf = ({ default: value }: JsonSchema): string =>
  value === undefined ? "" : `\`${JSON.stringify(value)}\``;

function tableOf(rows: readonly Row[]): string {
  const cells = rows.map(([key, ...rest]) =>
    [`\`${key}\``, ...rest].map((cell) => cell.replaceAll("|", "\\|")).join(" | "),
  );
  return ["| key | type | default | meaning |", "|---|---|---|---|", ...cells.map((row) => `| ${row} |`)].join("\n");
}
