/** The types of values and functions in the binary format of components, as texts. */
import type { BinaryReader } from "../plugin/sandbox/binary-reader.ts";
import type { Externs } from "./component-types.ts";

export type ComponentType =
  | { readonly kind: "value" | "function" | "resource"; readonly text: string }
  /** `path` names the resources that it declares. */
  | { readonly kind: "instance"; readonly of: (path: string) => Externs }
  | { readonly kind: "component" };

export interface TypeScope {
  readonly types: ComponentType[];
}

/** The text of a type can be of exponential length; none that this host has comes near. */
const mostTextLength = 20_000;
const tooLong = "a type that is too large to compare";
const mostMembers = 10_000;

const primitives: Readonly<Record<number, string>> = {
  127: "bool",
  126: "s8",
  125: "u8",
  124: "s16",
  123: "u16",
  122: "s32",
  121: "u32",
  120: "s64",
  119: "u64",
  118: "f32",
  117: "f64",
  116: "char",
  115: "string",
  100: "error-context",
};

/** The type whose first byte was read already. */
export function readType(reader: BinaryReader, scope: TypeScope, form: number): ComponentType {
  const isFunction = form === 0x40 || form === 0x43;
  const text = isFunction ? functionText(reader, scope, form === 0x43) : valueText(reader, scope, form);
  return { kind: isFunction ? "function" : "value", text: text.length > mostTextLength ? tooLong : text };
}

function functionText(reader: BinaryReader, scope: TypeScope, isAsync: boolean): string {
  const parameters = listOf(reader, () => {
    reader.name();
    return used(reader, scope);
  });
  const form = reader.u8();
  if (form > 1) reader.fail("the results of a function of the component are of an unknown form");
  const result = form === 0 ? ` -> ${used(reader, scope)}` : "";
  if (form === 1 && reader.u8() !== 0) reader.fail("a function of the component has named results");
  return `${isAsync ? "async " : ""}func(${parameters})${result}`;
}

function valueText(reader: BinaryReader, scope: TypeScope, form: number): string {
  const use = (): string => used(reader, scope);
  const label = (): string => Buffer.from(reader.name()).toString("latin1");
  switch (form) {
    case 0x72:
      return `record {${listOf(reader, () => `${label()}: ${use()}`)}}`;
    case 0x71:
      return `variant {${listOf(reader, () => {
        const name = label();
        const payload = optional(reader, use);
        if (reader.u8() !== 0) reader.fail("a case of a variant refines another");
        return payload === undefined ? name : `${name}(${payload})`;
      })}}`;
    case 0x70:
      return `list<${use()}>`;
    case 0x67:
      return `list<${use()}, ${reader.u32()}>`;
    case 0x6f:
      return `tuple<${listOf(reader, use)}>`;
    case 0x6e:
      return `flags {${listOf(reader, label)}}`;
    case 0x6d:
      return `enum {${listOf(reader, label)}}`;
    case 0x6b:
      return `option<${use()}>`;
    case 0x6a:
      return `result<${optional(reader, use) ?? "_"}, ${optional(reader, use) ?? "_"}>`;
    case 0x69:
      return `own<${resource(reader, scope)}>`;
    case 0x68:
      return `borrow<${resource(reader, scope)}>`;
    default:
      return primitives[form] ?? unknown(reader, form);
  }
}

function unknown(reader: BinaryReader, form: number): never {
  const isOfStreams = form === 0x66 || form === 0x65;
  return reader.fail(
    isOfStreams
      ? "the component uses streams or futures as types, as in WASI 0.3, and this host has WASI 0.2"
      : "a type of the component is of a kind that this host does not know",
  );
}

/** A type where another uses it: by its number, or a primitive one as it is. */
function used(reader: BinaryReader, scope: TypeScope): string {
  const next = reader.bytes[reader.position] ?? 0;
  if ((next & 0xc0) === 0x40) {
    reader.u8();
    return primitives[next] ?? unknown(reader, next);
  }
  const type = scope.types[reader.u32()];
  return type?.kind === "value" ? type.text : reader.fail("a type of the component is used that is none of values");
}

function resource(reader: BinaryReader, scope: TypeScope): string {
  const type = scope.types[reader.u32()];
  return type?.kind === "resource" ? type.text : reader.fail("a handle of the component is of no resource");
}

function optional(reader: BinaryReader, read: () => string): string | undefined {
  return reader.u8() === 0 ? undefined : read();
}

/** What is longer than any type of this host is not put together: there may be many members, each as long as a text may be. */
function listOf(reader: BinaryReader, read: () => string): string {
  const members: string[] = [];
  let length = 0;
  const count = reader.u32();
  if (count > mostMembers) reader.fail(`a type of the component has more than ${mostMembers} members`);
  for (let rest = count; rest > 0; rest--) {
    const member = read();
    length += member.length;
    if (length <= mostTextLength) members.push(member);
  }
  return length <= mostTextLength ? members.join(", ") : tooLong;
}
