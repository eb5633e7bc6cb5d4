import { z } from "zod";
import { configurationSchema } from "../runtime/config/schema.ts";
import { manifestSchema } from "../runtime/plugin/manifest.ts";

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

/** The reference page of outrigger.yaml: every key with its meaning. */
export function configurationReference(): string {
  return [
    "# outrigger.yaml",
    "Generated from `runtime/config/schema.ts` by `npm run gen`.",
    "An unknown key is an error. `${NAME}` and `${NAME:-default}` in a value are taken from the environment; `$${` stands for `${`.",
    "## Keys",
    tableOf(settingsRows(configurationSchema)),
    "The settings of components, and what each can, are in [components.md](components.md).",
    "",
  ]
    .join("\n\n")
    .replace(/\n+$/, "\n");
}

/** The reference page of a plugin's manifest. */
export function manifestReference(): string {
  return [
    "# A plugin's manifest",
    "Generated from `runtime/plugin/manifest.ts` by `npm run gen`.",
    "`NAME.yaml` beside `NAME.wasm`. An unknown key is an error. Without a manifest a plugin is named after its file, with no capabilities: a module is a filter, a component what its exports are for.",
    tableOf(settingsRows(manifestSchema)),
    "",
  ]
    .join("\n\n")
    .replace(/\n+$/, "\n");
}

/** One line of a table for every key of the schema. */
export const settingsRows = (schema: z.ZodType): string[] =>
  [...rowsOf(toJsonSchema(schema), "")].map(([key, ...rest]) => {
    const cells = [`\`${key}\``, ...rest].map((cell) => cell.replaceAll("|", "\\|"));
    return `| ${cells.join(" | ")} |`;
  });

/** The table of the lines. */
export const tableOf = (rows: readonly string[]): string =>
  ["| key | type | default | meaning |", "|---|---|---|---|", ...rows].join("\n");

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
