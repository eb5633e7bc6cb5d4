/** Holds what a component says of interfaces that this host has against what they are. */
import { witSignatures } from "../../proto/gen/wit-signatures.ts";
import { SandboxError } from "../plugin/sandbox/sandbox-error.ts";
import { type Extern, type Externs, interfaceKey, readComponentTypes } from "./component-types.ts";

const mostExcerpt = 160;
const excerptBefore = 40;

/**
 * Throws SandboxError when the component takes a function that an interface of this host does not have, or has with other types,
 * or gives one by which it is called with other types. The code between it and the host believes whatever it declares.
 */
export function checkTypes(component: Uint8Array, isCalled: (fullName: string) => boolean): void {
  const { imports, exports } = readComponentTypes(component);
  for (const [name, extern] of imports) {
    if (extern.kind === "instance") checkImported(name, extern.exports, expectedOf(name));
    else if (extern.kind !== "function" && !isKnownType(name, extern))
      throw new SandboxError(
        `the component takes '${name}' by itself: resources come with the interfaces that they are of`,
      );
  }
  for (const [name, extern] of exports)
    if (isCalled(name)) checkExported(name, extern.kind === "instance" ? extern.exports : new Map(), expectedOf(name));
}

/** It may take a part of what there is. */
function checkImported(name: string, declared: Externs, expected: ReadonlyMap<string, string> | undefined): void {
  if (expected === undefined) return;
  for (const [member, extern] of declared) {
    const text = textOf(extern);
    const right = expected.get(member);
    if (right === undefined) {
      if (isPlainType(extern)) continue;
      throw new SandboxError(`the component takes '${member}' of ${name}, which this host does not have`);
    }
    if (text !== right) throw new SandboxError(`the component takes '${member}' of ${name} ${difference(text, right)}`);
  }
}

function checkExported(name: string, declared: Externs, expected: ReadonlyMap<string, string> | undefined): void {
  if (expected === undefined) return;
  for (const [member, right] of expected) {
    if (!right.startsWith("func(")) continue;
    const extern = declared.get(member);
    if (extern === undefined)
      throw new SandboxError(`the component gives ${name} without '${member}', which would be ${excerpt(right, 0)}`);
    const text = textOf(extern);
    if (text !== right) throw new SandboxError(`the component gives '${member}' of ${name} ${difference(text, right)}`);
  }
}

/** Types may be taken under names of the component's own; a resource only when it is one of an interface. */
const isKnownType = (name: string, extern: Extern): boolean => extern.kind === "type" && textOf(extern) !== name;

/** A name that no function of the host uses. */
const isPlainType = (extern: Extern): boolean => extern.kind === "type" && extern.type.kind === "value";

function textOf(extern: Extern): string {
  if (extern.kind === "function") return extern.text;
  return extern.kind === "type" && "text" in extern.type ? extern.type.text : extern.kind;
}

function difference(declared: string, right: string): string {
  let same = 0;
  while (same < declared.length && declared[same] === right[same]) same++;
  return `as ${excerpt(declared, same)}, where this host has ${excerpt(right, same)}`;
}

/** What is around a place. */
function excerpt(text: string, place: number): string {
  const start = place + excerptBefore < mostExcerpt ? 0 : place - excerptBefore;
  const end = start + mostExcerpt;
  return `${start > 0 ? "..." : ""}${text.slice(start, end)}${end < text.length ? "..." : ""}`;
}

/** What the members of an interface are, in full. */
function expectedOf(name: string): ReadonlyMap<string, string> | undefined {
  const key = interfaceKey(name);
  if (!Object.hasOwn(witSignatures, key)) return undefined;
  return new Map(Object.entries(witSignatures[key] ?? {}).map(([member, text]) => [member, inFull(text)]));
}

const inFull = (text: string): string =>
  text.replace(/\{=([^#}]+)#([^}]+)\}/g, (_, key: string, name: string) => inFull(witSignatures[key]?.[name] ?? ""));
