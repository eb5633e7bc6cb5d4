import type { CelInput } from "@bufbuild/cel";
import { create } from "@bufbuild/protobuf";
import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import type { PropertyValue } from "../../plugin/contract.ts";

/** Finds a property by its path; undefined when there is none. */
export type FindProperty = (path: readonly string[]) => PropertyValue | undefined;

type Pairs = readonly (readonly [name: string, value: string])[];
const nanosecondsPerSecond = 1_000_000_000n;

/** Properties under a path, as an expression reads them: each is looked up when it is asked for, and none can be listed. */
export class PropertyMap extends Map<string, CelInput> {
  readonly #path: readonly string[];
  readonly #find: FindProperty;

  constructor(path: readonly string[], find: FindProperty) {
    super();
    this.#path = path;
    this.#find = find;
  }

  override get(key: string): CelInput | undefined {
    const path = [...this.#path, key];
    const value = this.#find(path);
    return value === undefined ? undefined : celInput(path, value);
  }

  override has(key: string): boolean {
    return this.get(key) !== undefined;
  }
}

/** A property as expressions know it: times and durations as such, fields as a map of the first value of each name. */
export function celInput([root, key]: readonly string[], value: PropertyValue): CelInput {
  if (typeof value === "string") return root === "request" || root === "response" ? utf8Of(value) : value;
  if (isPairs(value)) return new Map(value.toReversed().map(([name, text]) => [name, utf8Of(text)]));
  if (typeof value !== "bigint" || root !== "request") return value;
  const [seconds, nanos] = [value / nanosecondsPerSecond, Number(value % nanosecondsPerSecond)];
  if (key === "time") return create(TimestampSchema, { seconds, nanos });
  return key === "duration" ? create(DurationSchema, { seconds, nanos }) : value;
}

function isPairs(value: PropertyValue): value is Pairs {
  return Array.isArray(value);
}

/** Fields are strings of bytes; expressions have text. */
function utf8Of(bytes: string): string {
  return /^[\0-\x7f]*$/.test(bytes) ? bytes : Buffer.from(bytes, "latin1").toString("utf8");
}
