import type { CelInput } from "@bufbuild/cel";
import { create } from "@bufbuild/protobuf";
import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import type { PropertyValue } from "../../plugin/contract.ts";

/** Where expressions get properties from. */
export interface PropertySource {
  /** A property by its path; undefined when there is none. */
  find(path: readonly string[]): PropertyValue | undefined;
  /** Told of every value that an expression takes, so that its work is paid for. */
  taken(bytes: number): void;
}

type Pairs = readonly (readonly [name: string, value: string])[];
const nanosecondsPerSecond = 1_000_000_000n;

/** Properties under a path, as an expression reads them: each is looked up when it is asked for, and none can be listed. */
export class PropertyMap extends Map<string, CelInput> {
  readonly #path: readonly string[];
  readonly #source: PropertySource;

  constructor(path: readonly string[], source: PropertySource) {
    super();
    this.#path = path;
    this.#source = source;
  }

  override get(key: string): CelInput | undefined {
    return celProperty([...this.#path, key], this.#source);
  }

  override has(key: string): boolean {
    return this.get(key) !== undefined;
  }
}

/** The first value of each name. */
class FieldMap extends Map<string, string> {
  readonly #source: PropertySource;

  constructor(fields: Pairs, source: PropertySource) {
    super(fields.toReversed());
    this.#source = source;
  }

  override get(key: string): string | undefined {
    const value = super.get(key);
    if (value === undefined) return undefined;
    this.#source.taken(value.length);
    return utf8Of(value);
  }
}

/** A property as expressions know it: times and durations as such, fields as a map. */
export function celProperty(path: readonly string[], source: PropertySource): CelInput | undefined {
  const value = source.find(path);
  const [root, key] = path;
  if (value === undefined) return undefined;
  if (isPairs(value)) return new FieldMap(value, source);
  if (typeof value === "string" || value instanceof Uint8Array) source.taken(value.length);
  if (typeof value === "string") return root === "request" || root === "response" ? utf8Of(value) : value;
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
