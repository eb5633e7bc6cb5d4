import { type CelInput, celEnv, isCelError, isCelList, isCelMap, isCelUint, parse, plan } from "@bufbuild/cel";
import { messageOf } from "../../../components/thrown.ts";
import { Status } from "../abi.ts";
import { GuestStopped } from "../meter.ts";
import { encodePairs } from "../pairs.ts";
import type { Vm } from "../vm.ts";
import { type ExpressionSize, longestExpression, nestingOf, sizeOf } from "./expression-limits.ts";
import { noResult, type Refusal, refuse } from "./foreign-function.ts";
import { Patterns } from "./patterns.ts";
import { celProperty, PropertyMap, type PropertySource } from "./property-map.ts";

const maxExpressions = 256;
/** Fuel for an expression, for each byte of it that is read, and for each of its parts that is evaluated. */
const createCost = 50_000;
const parseCost = 10_000;
const nodeCost = 1_500;
/** Fuel for the square of how deep it nests: the parser looks that often for what a bracket that is never closed might have been. */
const nestingCost = 2_000;
/** Fuel for each byte of a property that is read, and again for each search within text. */
const byteCost = 2;
const searchCost = 250;
/** Fuel for each field of a map that is taken. */
const pairCost = 400;
/** What attributes begin with: maps, whose members are looked up, and single values. */
const maps = [
  "request",
  "response",
  "connection",
  "source",
  "destination",
  "upstream",
  "node",
  "metadata",
  "filter_state",
  "xds",
];
const values = ["plugin_name", "plugin_root_id", "plugin_vm_id", "cluster_name", "route_name", "listener_direction"];

interface Expression {
  /** Of its text, in bytes. */
  readonly length: number;
  readonly size: ExpressionSize;
  readonly evaluate: (properties: Readonly<Record<string, CelInput>>) => unknown;
}

/**
 * Expressions of CEL (https://cel.dev) that a guest made and evaluates on its properties. How large they are is limited, and
 * the guest pays for their work before it is done.
 */
export class Expressions {
  readonly #vm: Vm;
  readonly #environment: ReturnType<typeof celEnv>;
  readonly #known = new Map<number, Expression>();
  readonly #properties: Readonly<Record<string, CelInput>>;
  #last = 0;
  /** Of the expression that is evaluated: fuel for each byte of a property, and for each field of a map. */
  #costPerByte = byteCost;
  #costPerTurn = pairCost;

  constructor(vm: Vm, find: PropertySource["find"]) {
    this.#vm = vm;
    const { meter } = vm;
    this.#environment = celEnv({ re2: new Patterns(meter) });
    this.#properties = propertiesOf({
      find: (path) => {
        const value = find(path);
        if (Array.isArray(value)) {
          meter.work(value.length * this.#costPerTurn);
          for (const [name] of value) meter.work(name.length * this.#costPerByte);
        }
        return value;
      },
      taken: (bytes) => meter.work(bytes * this.#costPerByte),
    });
  }

  /** `expr_create`: the token of the expression, a number of 4 bytes. */
  create(text: Uint8Array): Uint8Array | Refusal {
    if (text.length > longestExpression)
      return refuse(Status.BAD_ARGUMENT, `it is longer than ${longestExpression} bytes`);
    this.#vm.meter.work(createCost + text.length * parseCost);
    if (this.#known.size >= maxExpressions)
      return refuse(Status.INTERNAL_FAILURE, `there are ${maxExpressions} expressions; expr_delete makes room`);
    const expression = this.#read(Buffer.from(text).toString("utf8"));
    if ("status" in expression) return expression;
    this.#last = (this.#last + 1) % 2 ** 32;
    this.#known.set(this.#last, expression);
    const token = Buffer.alloc(4);
    token.writeUInt32LE(this.#last);
    return token;
  }

  /** `expr_evaluate`: the value of the expression with that token. */
  evaluate(token: Uint8Array): Uint8Array | Refusal {
    const number = tokenOf(token);
    if (number === undefined) return refuse(Status.BAD_ARGUMENT, "a token has 4 bytes");
    const expression = this.#known.get(number);
    if (expression === undefined) return refuse(Status.NOT_FOUND, "there is no such expression");
    const { meter } = this.#vm;
    const { nodes, searches, loops } = expression.size;
    const own = nodes * nodeCost + (searches > 0 ? expression.length * searchCost : 0);
    // Each turn of a loop may do all the work that there is; a list that is written out has fewer items than there are parts.
    this.#costPerTurn = loops ? own : pairCost;
    this.#costPerByte = byteCost + searches * searchCost;
    meter.work(loops ? own * nodes : own);
    try {
      const value = expression.evaluate(this.#properties);
      // What was read may have cost more fuel than there was, which the library took for a failure of its own.
      meter.work(0);
      if (isCelError(value)) return refuse(Status.INTERNAL_FAILURE, value.message);
      return serialize(value) ?? refuse(Status.SERIALIZATION_FAILURE, "its value is of a kind that has no bytes");
    } catch (error) {
      if (error instanceof GuestStopped) throw error;
      return refuse(Status.INTERNAL_FAILURE, messageOf(error));
    }
  }

  /** `expr_delete`: forgets the expression, if there is one. */
  delete(token: Uint8Array): Uint8Array | Refusal {
    const number = tokenOf(token);
    if (number === undefined) return refuse(Status.BAD_ARGUMENT, "a token has 4 bytes");
    this.#known.delete(number);
    return noResult;
  }

  #read(text: string): Expression | Refusal {
    const nesting = nestingOf(text);
    if (nesting === undefined) return refuse(Status.BAD_ARGUMENT, "it nests too deep");
    this.#vm.meter.work(nesting ** 2 * nestingCost);
    try {
      const parsed = parse(text);
      const size = sizeOf(parsed.expr);
      if (size === undefined) return refuse(Status.BAD_ARGUMENT, "it has too many parts, or a loop within a loop");
      return { length: text.length, size, evaluate: plan(this.#environment, parsed) };
    } catch (error) {
      return refuse(Status.BAD_ARGUMENT, messageOf(error));
    }
  }
}

function tokenOf(bytes: Uint8Array): number | undefined {
  return bytes.length === 4 ? Buffer.from(bytes).readUInt32LE() : undefined;
}

/** All that an expression may name. */
function propertiesOf(source: PropertySource): Readonly<Record<string, CelInput>> {
  const properties: Record<string, CelInput> = Object.create(null);
  for (const name of maps) properties[name] = new PropertyMap([name], source);
  for (const name of values) {
    const get = (): CelInput | undefined => celProperty([name], source);
    Object.defineProperty(properties, name, { enumerable: true, get });
  }
  return properties;
}

/** As properties are serialized; undefined for types and messages other than times and durations. */
function serialize(value: unknown): Uint8Array | undefined {
  if (value === null) return noResult;
  if (typeof value === "string") return Buffer.from(value, "utf8");
  if (typeof value === "boolean") return Uint8Array.of(value ? 1 : 0);
  if (value instanceof Uint8Array) return value;
  if (typeof value === "bigint" || typeof value === "number") return eightBytes(value);
  if (isCelUint(value)) return eightBytes(value.value);
  if (isCelMap(value)) return pairs([...value].map(([key, item]) => [serialize(key), serialize(item)]));
  if (isCelList(value)) return pairs([...value].map((item) => [serialize(item), noResult]));
  const nanoseconds = nanosecondsOf(value);
  return nanoseconds === undefined ? undefined : eightBytes(nanoseconds);
}

function pairs(items: readonly (readonly [Uint8Array | undefined, Uint8Array | undefined])[]): Uint8Array | undefined {
  const encoded: [string, string][] = [];
  for (const [key, item] of items) {
    if (key === undefined || item === undefined) return undefined;
    encoded.push([Buffer.from(key).toString("latin1"), Buffer.from(item).toString("latin1")]);
  }
  return encodePairs(encoded);
}

function eightBytes(value: bigint | number): Uint8Array {
  const bytes = Buffer.alloc(8);
  if (typeof value === "number") bytes.writeDoubleLE(value);
  else bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes;
}

/** Of a time or a duration, which both have seconds and nanoseconds. */
function nanosecondsOf(value: unknown): bigint | undefined {
  if (typeof value !== "object" || value === null || !("message" in value)) return undefined;
  const { message } = value;
  if (typeof message !== "object" || message === null || !("seconds" in message) || !("nanos" in message))
    return undefined;
  const { seconds, nanos } = message;
  if (typeof seconds !== "bigint" || typeof nanos !== "number") return undefined;
  return seconds * 1_000_000_000n + BigInt(nanos);
}
