/**
 * The types of what a component takes and gives, as texts that are equal exactly when the types are: records, variants and the
 * like are written out, and resources are named by where they come from. The component is one that a validator has passed.
 */
import { BinaryReader } from "../plugin/sandbox/binary-reader.ts";
import { componentPreamble } from "../plugin/sandbox/sandboxed-component.ts";
import { section } from "./component-binary.ts";
import { type ComponentType, readType, type TypeScope } from "./type-section.ts";

/** What an instance gives. */
export type Extern =
  | { readonly kind: "function"; readonly text: string }
  | { readonly kind: "type"; readonly type: ComponentType }
  | { readonly kind: "instance"; readonly exports: Externs }
  | { readonly kind: "component"; readonly definition: Definition | undefined }
  | { readonly kind: "module" };

export type Externs = ReadonlyMap<string, Extern>;

/** A component inside another, which is looked at where it is instantiated. */
interface Definition {
  readonly start: number;
  readonly end: number;
  readonly scope: Scope;
}

/** The things that a component, or the type of an instance, may refer to by their numbers. */
export interface Scope extends TypeScope {
  readonly parent: Scope | undefined;
  readonly depth: number;
  readonly functions: string[];
  readonly instances: Externs[];
  readonly components: (Definition | undefined)[];
}

const mostSteps = 2_000_000;
const mostDepth = 32;

/** A version of WASI 0.2 stands for all: what is there in two of them has the same type. */
export const interfaceKey = (fullName: string): string => fullName.replace(/@0\.2\.\d+$/, "@0.2");

/** Throws SandboxError for what WASI 0.2 has no use for: values, and the functions of asynchronous components. */
export function readComponentTypes(bytes: Uint8Array): { readonly imports: Externs; readonly exports: Externs } {
  return new TypesReader(bytes).component({ start: 0, end: bytes.length }, undefined, undefined);
}

class TypesReader {
  readonly #bytes: Uint8Array;
  #steps = 0;
  #ownResources = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** With `given` the component is one inside another, and these are its imports. */
  component(
    { start, end }: { readonly start: number; readonly end: number },
    parent: Scope | undefined,
    given: Externs | undefined,
  ): { imports: Externs; exports: Externs } {
    const scope = scopeIn(parent);
    const imports = new Map<string, Extern>();
    const exports = new Map<string, Extern>();
    const reader = new BinaryReader(this.#bytes, "component", start + componentPreamble.length, end);
    if (scope.depth > mostDepth) reader.fail("components or types are nested too deep");
    const items: Readonly<Record<number, (contents: BinaryReader) => void>> = {
      [section.instance]: (contents) => scope.instances.push(this.#instance(contents, scope)),
      [section.alias]: (contents) => this.#alias(contents, scope),
      [section.type]: (contents) => scope.types.push(this.#type(contents, scope)),
      [section.canonical]: (contents) => this.#canonical(contents, scope),
      [section.import]: (contents) => {
        const name = nameIn(contents);
        const declared = this.#extern(contents, scope, interfaceKey(name));
        const bound =
          given === undefined ? declared : (given.get(name) ?? contents.fail(`nothing is given as ${name}`));
        imports.set(name, bound);
        bind(scope, bound);
      },
      [section.export]: (contents) => {
        const name = nameIn(contents);
        const exported = this.#referred(contents, scope);
        const isAscribed = contents.u8() === 1;
        const shown = isAscribed ? this.#extern(contents, scope, interfaceKey(name)) : exported;
        exports.set(name, shown);
        bind(scope, shown);
      },
    };
    while (!reader.done) {
      this.#step(reader);
      const id = reader.u8();
      const size = reader.u32();
      const from = reader.position;
      reader.passOver(size);
      if (id === section.component) scope.components.push({ start: from, end: reader.position, scope });
      if (id === section.start || id > section.export)
        reader.fail("the component has a section that this host does not know", from);
      const item = items[id];
      if (item === undefined) continue;
      const contents = new BinaryReader(this.#bytes, "component", from, reader.position);
      for (let rest = contents.u32(); rest > 0; rest--) {
        this.#step(contents);
        item(contents);
      }
      if (!contents.done) contents.fail("a section of the component is longer than its contents");
    }
    return { imports, exports };
  }

  #step(reader: BinaryReader): void {
    if (++this.#steps > mostSteps) reader.fail("the types of the component take too long to compare");
  }

  #instance(reader: BinaryReader, scope: Scope): Externs {
    const isInstantiation = reader.u8() === 0;
    const definition = isInstantiation ? scope.components[reader.u32()] : undefined;
    const given = new Map<string, Extern>();
    for (let rest = reader.u32(); rest > 0; rest--) {
      this.#step(reader);
      const name = isInstantiation ? textOf(reader.name()) : nameIn(reader);
      given.set(name, this.#referred(reader, scope));
    }
    if (!isInstantiation) return given;
    if (definition === undefined) return reader.fail("the component instantiates what it does not define itself");
    return this.component(definition, definition.scope, given).exports;
  }

  /** What a sort and a number refer to. */
  #referred(reader: BinaryReader, scope: Scope): Extern {
    const sort = reader.u8();
    if (sort === 0) {
      reader.u8();
      reader.u32();
      return { kind: "module" };
    }
    return entryOf(reader, scope, sort, reader.u32());
  }

  #alias(reader: BinaryReader, scope: Scope): void {
    const sort = reader.u8();
    if (sort === 0) reader.u8();
    const target = reader.u8();
    const number = reader.u32();
    if (target === 1) reader.name();
    else if (target === 0) {
      const found = scope.instances[number]?.get(textOf(reader.name()));
      if (sort !== 0) bind(scope, found ?? reader.fail("an alias of the component refers to nothing"));
    } else {
      const index = reader.u32();
      if (sort !== 0) bind(scope, entryOf(reader, outerOf(scope, number), sort, index));
    }
  }

  /** Lifted functions are of interest; those that are lowered are core functions. */
  #canonical(reader: BinaryReader, scope: Scope): void {
    const form = reader.u8();
    if (form > 4)
      reader.fail("the component uses a function of asynchronous components, which this host does not have");
    if (form <= 1) reader.u8();
    reader.u32();
    if (form > 1) return;
    for (let rest = reader.u32(); rest > 0; rest--) {
      const option = reader.u8();
      if (option > 7) reader.fail("a function of the component has an option that this host does not know");
      if ((option >= 3 && option <= 5) || option === 7) reader.u32();
    }
    if (form === 0) scope.functions.push(functionOf(reader, scope));
  }

  #type(reader: BinaryReader, scope: Scope): ComponentType {
    const form = reader.u8();
    if (form === 0x41) return this.#componentType(reader, scope);
    if (form === 0x42) return this.#instanceType(reader, scope);
    if (form !== 0x3f) return readType(reader, scope, form);
    reader.u8();
    if (reader.u8() === 1) reader.u32();
    return { kind: "resource", text: `resource ${++this.#ownResources} of its own` };
  }

  #componentType(reader: BinaryReader, scope: Scope): ComponentType {
    this.#declarations(reader, scopeIn(scope), "");
    return { kind: "component" };
  }

  /** Every import of it has resources of its own, which is why its declarations are read again for each. */
  #instanceType(reader: BinaryReader, scope: Scope): ComponentType {
    const start = reader.position;
    this.#declarations(reader, scopeIn(scope), "");
    const end = reader.position;
    return {
      kind: "instance",
      of: (path) => this.#declarations(new BinaryReader(this.#bytes, "component", start, end), scopeIn(scope), path),
    };
  }

  #declarations(reader: BinaryReader, scope: Scope, path: string): Externs {
    if (scope.depth > mostDepth) reader.fail("components or types are nested too deep");
    const exports = new Map<string, Extern>();
    for (let rest = reader.u32(); rest > 0; rest--) {
      this.#step(reader);
      const form = reader.u8();
      if (form === 1) scope.types.push(this.#type(reader, scope));
      else if (form === 2) this.#alias(reader, scope);
      else if (form === 3 || form === 4) {
        const name = nameIn(reader);
        const declared = this.#extern(reader, scope, `${path}#${name}`);
        exports.set(name, declared);
        bind(scope, declared);
      } else reader.fail("the type of an instance declares something that this host does not know");
    }
    return exports;
  }

  #extern(reader: BinaryReader, scope: Scope, path: string): Extern {
    const sort = reader.u8();
    switch (sort) {
      case 0:
        reader.u8();
        reader.u32();
        return { kind: "module" };
      case 1:
        return { kind: "function", text: functionOf(reader, scope) };
      case 3:
        if (reader.u8() === 1) return { kind: "type", type: { kind: "resource", text: path } };
        return entryOf(reader, scope, sort, reader.u32());
      case 4:
        reader.u32();
        return { kind: "component", definition: undefined };
      case 5: {
        const type = scope.types[reader.u32()];
        if (type?.kind !== "instance") return reader.fail("an instance of the component is of no type of instances");
        return { kind: "instance", exports: type.of(path) };
      }
      default:
        return reader.fail("the component takes or gives something of an unknown kind");
    }
  }
}

function functionOf(reader: BinaryReader, scope: Scope): string {
  const type = scope.types[reader.u32()];
  return type?.kind === "function" ? type.text : reader.fail("a function of the component is of no type of functions");
}

const scopeIn = (parent: Scope | undefined): Scope => ({
  parent,
  depth: parent === undefined ? 0 : parent.depth + 1,
  types: [],
  functions: [],
  instances: [],
  components: [],
});

function outerOf(scope: Scope, count: number): Scope {
  let outer = scope;
  for (let rest = count; rest > 0 && outer.parent !== undefined; rest--) outer = outer.parent;
  return outer;
}

function entryOf(reader: BinaryReader, scope: Scope, sort: number, index: number): Extern {
  const { functions, types, components, instances } = scope;
  const text = sort === 1 ? functions[index] : undefined;
  if (text !== undefined) return { kind: "function", text };
  const type = sort === 3 ? types[index] : undefined;
  if (type !== undefined) return { kind: "type", type };
  if (sort === 4 && index < components.length) return { kind: "component", definition: components[index] };
  const exports = sort === 5 ? instances[index] : undefined;
  if (exports !== undefined) return { kind: "instance", exports };
  return reader.fail("the component refers to something that it does not have");
}

function bind(scope: Scope, extern: Extern): void {
  if (extern.kind === "function") scope.functions.push(extern.text);
  else if (extern.kind === "type") scope.types.push(extern.type);
  else if (extern.kind === "instance") scope.instances.push(extern.exports);
  else if (extern.kind === "component") scope.components.push(extern.definition);
}

/** The name of an import or export, behind the byte that says of which form it is. */
function nameIn(reader: BinaryReader): string {
  if (reader.u8() > 1) reader.fail("a name of the component is of an unknown form", reader.position - 1);
  return textOf(reader.name());
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
