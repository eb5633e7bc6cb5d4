/**
 * What a component shows of itself without being run. It is read strictly where its outside and the names in it are concerned;
 * whether types fit is for the transpiler to say.
 */
import { BinaryReader } from "../plugin/sandbox/binary-reader.ts";
import { SandboxError } from "../plugin/sandbox/sandbox-error.ts";
import { componentPreamble, isComponentBinary } from "../plugin/sandbox/sandboxed-component.ts";

/** Something that a component takes or gives. */
export interface ComponentName {
  /** In full: `wasi:io/streams@0.2.3`. */
  readonly name: string;
  readonly kind: "module" | "function" | "value" | "type" | "component" | "interface";
}

export interface ComponentOutline {
  readonly imports: readonly ComponentName[];
  readonly exports: readonly ComponentName[];
  /** The sizes of its core modules in their order, those of components inside it too. */
  readonly coreModules: readonly number[];
  /** Pages that the memories of its core modules have at the beginning, together. */
  readonly memoryPages: number;
}

const mostCoreModules = 64;
const mostDepth = 16;
const mostNames = 100_000;
const mostNameBytes = 1_024;

const sorts: readonly ComponentName["kind"][] = ["module", "function", "value", "type", "component", "interface"];
/** The sections of a component that are read here or for its types. */
export const section = {
  coreModule: 1,
  coreInstance: 2,
  component: 4,
  instance: 5,
  alias: 6,
  type: 7,
  canonical: 8,
  start: 9,
  import: 10,
  export: 11,
} as const;
const coreSection = { import: 2, memory: 5, export: 7 } as const;

/**
 * Reads a component, and those inside it. Throws SandboxError when it is malformed, has more inside it than any should, or
 * names something with characters that could end a string in the code that is generated for it.
 */
export function readComponent(bytes: Uint8Array): ComponentOutline {
  if (!isComponentBinary(bytes)) throw new SandboxError("this is not a WebAssembly component", 0);
  const outline = new OutlineReader(bytes);
  const { imports, exports } = outline.component(0, bytes.length, 0);
  return { imports, exports, coreModules: outline.coreModules, memoryPages: outline.memoryPages };
}

/** Anything but printable ASCII, and what ends or opens something in JavaScript. */
const harmful = /[^ -~]|['"`\\]|\$\{|\*\/|\/\*/;

class OutlineReader {
  readonly #bytes: Uint8Array;
  readonly coreModules: number[] = [];
  memoryPages = 0;
  #names = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  component(start: number, end: number, depth: number): { imports: ComponentName[]; exports: ComponentName[] } {
    if (depth > mostDepth) throw new SandboxError(`components are nested more than ${mostDepth} deep`, start);
    if (!isComponentBinary(this.#bytes.subarray(start, end)))
      throw new SandboxError(`what should be a component inside the component is none (byte ${start})`, start);
    const outside: { imports: ComponentName[]; exports: ComponentName[] } = { imports: [], exports: [] };
    const reader = new BinaryReader(this.#bytes, "component", start + componentPreamble.length, end);
    while (!reader.done) {
      const id = reader.u8();
      const size = reader.u32();
      const from = reader.position;
      reader.passOver(size);
      if (id === section.coreModule) this.#coreModule(from, reader.position);
      else if (id === section.component) this.component(from, reader.position, depth + 1);
      else this.#section(id, new BinaryReader(this.#bytes, "component", from, reader.position), outside);
    }
    return outside;
  }

  #section(id: number, reader: BinaryReader, outside: { imports: ComponentName[]; exports: ComponentName[] }): void {
    const item = this.#itemOf(id, outside);
    if (item === undefined) return;
    for (let rest = reader.u32(); rest > 0; rest--) item(reader);
    if (!reader.done) reader.fail("a section of the component is longer than its contents");
  }

  #itemOf(
    id: number,
    { imports, exports }: { imports: ComponentName[]; exports: ComponentName[] },
  ): ((reader: BinaryReader) => void) | undefined {
    switch (id) {
      case section.coreInstance:
        return (reader) => this.#coreInstance(reader);
      case section.instance:
        return (reader) => this.#instance(reader);
      case section.alias:
        return (reader) => this.#alias(reader);
      case section.import:
        return (reader) => imports.push(this.#imported(reader));
      case section.export:
        return (reader) => exports.push(this.#exported(reader));
      default:
        return undefined;
    }
  }

  #coreInstance(reader: BinaryReader): void {
    const isInstantiation = this.#form(reader) === 0;
    if (isInstantiation) reader.u32();
    for (let rest = reader.u32(); rest > 0; rest--) {
      this.#name(reader);
      reader.u8();
      reader.u32();
    }
  }

  #instance(reader: BinaryReader): void {
    const isInstantiation = this.#form(reader) === 0;
    if (isInstantiation) reader.u32();
    for (let rest = reader.u32(); rest > 0; rest--) {
      if (isInstantiation) this.#name(reader);
      else this.#externName(reader);
      this.#sort(reader);
      reader.u32();
    }
  }

  #alias(reader: BinaryReader): void {
    this.#sort(reader);
    const target = reader.u8();
    reader.u32();
    if (target === 2) reader.u32();
    else if (target < 2) this.#name(reader);
    else reader.fail("an alias of the component is of an unknown kind", reader.position - 1);
  }

  #imported(reader: BinaryReader): ComponentName {
    const name = this.#externName(reader);
    return { name, kind: this.#externType(reader) };
  }

  #exported(reader: BinaryReader): ComponentName {
    const name = this.#externName(reader);
    const kind = this.#sort(reader);
    reader.u32();
    const isTyped = reader.u8() === 1;
    if (isTyped) this.#externType(reader);
    return { name, kind };
  }

  #form(reader: BinaryReader): number {
    const form = reader.u8();
    if (form > 1) reader.fail("an instance of the component is of an unknown kind", reader.position - 1);
    return form;
  }

  #sort(reader: BinaryReader): ComponentName["kind"] {
    const sort = reader.u8();
    if (sort === 0) reader.u8();
    return sorts[sort] ?? reader.fail("the component names something of an unknown kind", reader.position - 1);
  }

  #externType(reader: BinaryReader): ComponentName["kind"] {
    const sort = reader.u8();
    const kind = sorts[sort] ?? reader.fail("the component takes something of an unknown kind", reader.position - 1);
    const isBound = kind === "type" || kind === "value";
    if (kind === "module") reader.u8();
    if (!isBound) reader.u32();
    else if (reader.u8() === 0) reader.u32();
    else if (kind === "value") reader.fail("the component takes or gives a value, which no host can provide");
    return kind;
  }

  #externName(reader: BinaryReader): string {
    const form = reader.u8();
    if (form > 1) reader.fail("a name of the component is of an unknown form", reader.position - 1);
    return this.#name(reader);
  }

  #name(reader: BinaryReader): string {
    const offset = reader.position;
    const bytes = reader.name();
    if (++this.#names > mostNames) reader.fail(`the component names more than ${mostNames} things`, offset);
    if (bytes.length > mostNameBytes) reader.fail(`a name is longer than ${mostNameBytes} bytes`, offset);
    const name = Buffer.from(bytes).toString("latin1");
    if (harmful.test(name) || name === "__proto__")
      reader.fail("a name has characters that are not allowed in names of components, such as quotes", offset);
    return name;
  }

  /** Its imports and exports: their names come to stand in generated code. */
  #coreModule(start: number, end: number): void {
    if (this.coreModules.push(end - start) > mostCoreModules)
      throw new SandboxError(`the component has more than ${mostCoreModules} core modules`, start);
    const reader = new BinaryReader(this.#bytes, "core module", start + componentPreamble.length, end);
    while (!reader.done) {
      const id = reader.u8();
      const size = reader.u32();
      const from = reader.position;
      reader.passOver(size);
      const contents = new BinaryReader(this.#bytes, "core module", from, reader.position);
      if (id === coreSection.import) this.#coreImports(contents);
      else if (id === coreSection.memory) this.#coreMemories(contents);
      else if (id === coreSection.export) this.#coreExports(contents);
      else continue;
      if (!contents.done) contents.fail("a section of a core module is longer than its contents");
    }
  }

  #coreImports(reader: BinaryReader): void {
    for (let rest = reader.u32(); rest > 0; rest--) {
      this.#name(reader);
      this.#name(reader);
      const kind = reader.u8();
      if (kind === 0) reader.u32();
      else if (kind === 1) {
        reader.u8();
        this.#coreLimits(reader);
      } else if (kind === 2) this.#coreLimits(reader);
      else if (kind === 3) reader.passOver(2);
      else if (kind === 4) {
        reader.u8();
        reader.u32();
      } else reader.fail(`an import is of the unknown kind ${kind}`, reader.position - 1);
    }
  }

  #coreExports(reader: BinaryReader): void {
    for (let rest = reader.u32(); rest > 0; rest--) {
      this.#name(reader);
      reader.u8();
      reader.u32();
    }
  }

  #coreMemories(reader: BinaryReader): void {
    for (let rest = reader.u32(); rest > 0; rest--) this.memoryPages += this.#coreLimits(reader);
  }

  #coreLimits(reader: BinaryReader): number {
    const flags = reader.u8();
    if (flags > 1) reader.fail("a memory or table is shared or of 64 bits, which the sandbox refuses");
    const minimum = reader.u32();
    if (flags === 1) reader.u32();
    return minimum;
  }
}
