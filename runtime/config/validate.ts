/** Turns what zod says into mistakes that a person can act on: flat, with the nearest known name. */
import type { z } from "zod";
import type { Path } from "./mistake.ts";
import { nearest, suggestion } from "./nearest.ts";

export interface Problem {
  readonly path: Path;
  readonly message: string;
}

type Issue = z.core.$ZodIssue;

/** Every problem of the value; `problems` is empty when `value` is there. */
export function validate<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
):
  | { readonly value: z.output<Schema>; readonly problems: readonly Problem[] }
  | { readonly value?: undefined; readonly problems: readonly Problem[] } {
  const result = schema.safeParse(input, { reportInput: true });
  if (result.success) return { value: result.data, problems: [] };
  const whole = { schema, input };
  return { problems: result.error.issues.flatMap((issue) => explain(issue, whole, [])) };
}

/** What is validated, and by what. */
interface Whole {
  readonly schema: z.ZodType;
  readonly input: unknown;
}

function explain(issue: Issue, whole: Whole, base: Path): Problem[] {
  const path = [...base, ...issue.path];
  const root = whole.schema;
  switch (issue.code) {
    case "unrecognized_keys": {
      const known = keysAt(root, path);
      return issue.keys.map((key) => ({ path: [...path, key], message: `unknown key; ${suggestion(key, known)}` }));
    }
    case "invalid_union":
      return explainUnion(issue, whole, path);
    case "invalid_type": {
      if (issue.input === undefined) return [{ path, message: `missing; expected ${article(issue.expected)}` }];
      return [{ path, message: `expected ${article(issue.expected)}, found ${showInPlace(issue, path)}` }];
    }
    case "invalid_value": {
      const allowed = issue.values.map((value) => String(value));
      const near = typeof issue.input === "string" ? nearest(issue.input, allowed) : undefined;
      const hint = near === undefined ? "" : `; did you mean '${near}'?`;
      const found = issue.input === undefined ? "missing" : `found ${show(issue.input, path)}`;
      return [
        {
          path,
          message: `expected ${allowed.length === 1 ? allowed[0] : `one of ${allowed.join(", ")}`}, ${found}${hint}`,
        },
      ];
    }
    case "invalid_key":
      return issue.issues.map((inner) => ({ path, message: `the name is not acceptable: ${inner.message}` }));
    default: {
      const found =
        issue.input === undefined ? "" : `, found ${show(writtenAt(whole.input, path) ?? issue.input, path)}`;
      return [{ path, message: `${lowerFirst(issue.message)}${found}` }];
    }
  }
}

/** What stands there, and not what a schema made of it: `1h` and not 3600000. */
function writtenAt(input: unknown, path: Path): unknown {
  let value = input;
  for (const key of path) value = typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
  return value;
}

/** Of the alternatives, the one that the author most likely meant: the fewest problems, preferring those deep inside. */
function explainUnion(issue: Extract<Issue, { code: "invalid_union" }>, whole: Whole, path: Path): Problem[] {
  const alternatives = issue.errors.filter((issues) => !issues.some(isWrongShape));
  if (alternatives.length === 0) {
    const shapes = issue.errors.flatMap((issues) => issues.filter(isWrongShape)).map((one) => expectedOf(one));
    const expected = [...new Set(shapes)].filter((shape) => shape !== "");
    return [{ path, message: `expected ${expected.join(" or ")}, found ${show(issue.input, path)}` }];
  }
  const best = Math.min(...alternatives.map(weight));
  const chosen = alternatives.filter((issues) => weight(issues) === best);
  const problems = (chosen[0] ?? []).flatMap((inner) => explain(inner, whole, path));
  if (chosen.length === 1) return problems;
  const unknown = alternatives.flat().find((inner) => inner.code === "unrecognized_keys");
  if (unknown?.code === "unrecognized_keys" && weight(alternatives[0] ?? []) >= 2) {
    return explain(unknown, whole, path);
  }
  return [
    {
      path,
      message: `expected exactly one of ${keysAt(whole.schema, path).join(", ")}, found ${show(issue.input, path)}`,
    },
  ];
}

const isWrongShape = (issue: Issue): boolean => issue.code === "invalid_type" && issue.path.length === 0;
const expectedOf = (issue: Issue): string => (issue.code === "invalid_type" ? article(issue.expected) : "");
const weight = (issues: readonly Issue[]): number =>
  issues.reduce(
    (sum, issue) =>
      sum + (issue.code === "unrecognized_keys" ? 2 * issue.keys.length : issue.input === undefined ? 2 : 1),
    0,
  );

/** The keys that an object at the path may have, over all alternatives. */
export function keysAt(schema: z.ZodType, path: Path): string[] {
  let level: z.core.$ZodType[] = expand(schema);
  for (const key of path) level = level.flatMap((one) => child(one, key)).flatMap(expand);
  return [...new Set(level.flatMap((one) => (isObject(one) ? Object.keys(one._zod.def.shape) : [])))];
}

const isObject = (schema: z.core.$ZodType): schema is z.core.$ZodObject => schema._zod.def.type === "object";

/** Looks through wrappers (default, optional, transform) and into every alternative of a union. */
function expand(schema: z.core.$ZodType): z.core.$ZodType[] {
  const def = schema._zod.def as z.core.$ZodTypeDef & {
    innerType?: z.core.$ZodType;
    in?: z.core.$ZodType;
    options?: readonly z.core.$ZodType[];
  };
  if (def.innerType !== undefined) return expand(def.innerType);
  if (def.type === "pipe" && def.in !== undefined) return expand(def.in);
  if (def.type === "union" && def.options !== undefined) return def.options.flatMap(expand);
  return [schema];
}

function child(schema: z.core.$ZodType, key: PropertyKey): z.core.$ZodType[] {
  const def = schema._zod.def as z.core.$ZodTypeDef & {
    shape?: Readonly<Record<string, z.core.$ZodType>>;
    valueType?: z.core.$ZodType;
    element?: z.core.$ZodType;
  };
  const found = def.shape?.[String(key)] ?? def.valueType ?? def.element;
  return found === undefined ? [] : [found];
}

/** Keys below which nothing is shown. */
const secretBranch = /token|password|secret|credential|url|headers/i;
/** Keys whose own value, or whose list, may hold a secret: addresses with a user and a password, or text where a mapping belongs. */
const secretKey = /sasl|tls|endpoint|servers|brokers|nodes|cluster|seed|username|keys?$|keyid$/i;
/** Text that is an address, may have a user and a password before its host, or is a private key. */
const secretText = /.@|:\/\/|-----BEGIN/;

/** A value as it may stand in a message: short, never the content of something nested or of what may hold a secret. */
function show(value: unknown, path: Path): string {
  if (value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  if (mayBeSecret(String(value), path)) return "something else";
  return shortened(typeof value === "string" ? `'${value}'` : String(value));
}

/** Text as it may stand in a message: in quotes and short, unless it looks like an address or a key. */
export const shownText = (text: string): string =>
  secretText.test(text) ? "what stands there" : shortened(`'${text}'`);

const shortened = (text: string): string => (text.length <= 60 ? text : `${text.slice(0, 57)}...`);

/** Text where a mapping belongs may be the secret that one of its settings holds. */
const showInPlace = ({ expected, input }: Extract<Issue, { code: "invalid_type" }>, path: Path): string =>
  typeof input === "string" && words[expected] === "a mapping" ? "text" : show(input, path);

function mayBeSecret(text: string, path: Path): boolean {
  const ownKey = path.findLast((key) => typeof key === "string") ?? "";
  return secretText.test(text) || secretKey.test(String(ownKey)) || path.some((key) => secretBranch.test(String(key)));
}

const words: Readonly<Record<string, string>> = {
  object: "a mapping",
  record: "a mapping",
  array: "a list",
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
};
const article = (expected: string): string => words[expected] ?? expected;
const lowerFirst = (text: string): string => text.slice(0, 1).toLowerCase() + text.slice(1);
