import { BinaryReader } from "./binary-reader.ts";
import { constantExpression } from "./constant-expression.ts";
import { SandboxError } from "./sandbox-error.ts";
import { fuelExports, type SandboxLimits } from "./sandboxed-module.ts";
import { type Arity, readLimits, referenceType, valueType } from "./types.ts";

/** A section of a module: its contents lie from `start` up to `end`. */
export interface Section {
  readonly id: number;
  readonly start: number;
  readonly end: number;
}

/** What the rewriter must know of a module before it reads its functions. */
export interface ModuleLayout {
  readonly bytes: Uint8Array;
  /** In the order of the file, custom sections included. */
  readonly sections: readonly Section[];
  /** Of each type. */
  readonly types: readonly Arity[];
  /** The type of each function, imported ones first. */
  readonly functionTypes: readonly number[];
  readonly importedFunctions: number;
  readonly globals: number;
  readonly tags: readonly Arity[];
  /** Pages of the memory, capped; undefined without a memory. Whoever defines an imported one has capped it. */
  readonly memory: { readonly minimum: number; readonly maximum: number; readonly isImported: boolean } | undefined;
  readonly tables: readonly { readonly type: number; readonly minimum: number; readonly maximum: number }[];
}

export const sectionId = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
  tag: 13,
} as const;

const names: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(sectionId).map(([name, id]) => [id, name]),
);

/** The order of the sections in a file, by id. */
export const sectionOrder: readonly number[] = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

export const bytesPerPage = 65_536;
const mostPages = 65_536;
const mostTables = 64;

/** Reads everything but the code and the data, and refuses what the sandbox does not allow. Throws SandboxError. */
export function readLayout(bytes: Uint8Array, limits: SandboxLimits): ModuleLayout {
  const sections = readSections(bytes);
  const layout = new LayoutReader(bytes, sections, limits);
  return layout.read();
}

/** A reader of a section's contents. */
export function sectionReader(bytes: Uint8Array, section: Section): BinaryReader {
  return new BinaryReader(bytes, `${names[section.id] ?? "unknown"} section`, section.start, section.end);
}

function readSections(bytes: Uint8Array): Section[] {
  const reader = new BinaryReader(bytes, "module");
  readHeader(bytes);
  reader.position = 8;
  const sections: Section[] = [];
  let rank = -1;
  while (!reader.done) {
    const offset = reader.position;
    const id = reader.u8();
    const size = reader.u32();
    const start = reader.position;
    reader.take(size);
    const section = { id, start, end: reader.position };
    if (id !== sectionId.custom) {
      const next = sectionOrder.indexOf(id);
      if (next < 0) reader.fail(`the module has a section of the unknown kind ${id}`, offset);
      if (next <= rank) reader.fail(`the ${names[id]} section is out of order or there twice`, offset);
      rank = next;
    } else customSectionName(bytes, section);
    sections.push(section);
  }
  return sections;
}

function readHeader(bytes: Uint8Array): void {
  if (bytes.length < 8 || bytes[0] !== 0 || bytes[1] !== 0x61 || bytes[2] !== 0x73 || bytes[3] !== 0x6d)
    throw new SandboxError("this is not a WebAssembly module: it does not begin with \\0asm", 0);
  const version = (bytes[4] ?? 0) | ((bytes[5] ?? 0) << 8);
  const layer = (bytes[6] ?? 0) | ((bytes[7] ?? 0) << 8);
  if (layer === 1) throw new SandboxError("this is a WebAssembly component, and a core module is expected here", 4);
  if (version !== 1 || layer !== 0)
    throw new SandboxError(`this is a WebAssembly module of the unknown version ${version}`, 4);
}

/** The name of a custom section. */
export function customSectionName(bytes: Uint8Array, section: Section): string {
  const reader = sectionReader(bytes, section);
  const name = reader.name();
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(name);
  } catch {
    return reader.fail("a custom section's name is not UTF-8", section.start);
  }
}

/** Reads the sections in their order; each method leaves what later ones need. */
class LayoutReader {
  readonly #bytes: Uint8Array;
  readonly #sections: readonly Section[];
  readonly #limits: SandboxLimits;
  readonly #types: Arity[] = [];
  readonly #functionTypes: number[] = [];
  readonly #tags: Arity[] = [];
  readonly #tables: { type: number; minimum: number; maximum: number }[] = [];
  #importedFunctions = 0;
  #globals = 0;
  #memory: ModuleLayout["memory"];

  constructor(bytes: Uint8Array, sections: readonly Section[], limits: SandboxLimits) {
    this.#bytes = bytes;
    this.#sections = sections;
    this.#limits = limits;
  }

  read(): ModuleLayout {
    for (const section of this.#sections) this.#section(section);
    return {
      bytes: this.#bytes,
      sections: this.#sections,
      types: this.#types,
      functionTypes: this.#functionTypes,
      importedFunctions: this.#importedFunctions,
      globals: this.#globals,
      tags: this.#tags,
      memory: this.#memory,
      tables: this.#tables,
    };
  }

  #section(section: Section): void {
    const reader = sectionReader(this.#bytes, section);
    const item = this.#itemOf(section.id);
    if (section.id === sectionId.start) this.#functionIndex(reader);
    if (item === undefined) return;
    const count = reader.u32();
    for (let index = 0; index < count; index++) item(reader);
    if (!reader.done) reader.fail("the section is longer than its contents");
  }

  #itemOf(id: number): ((reader: BinaryReader) => void) | undefined {
    switch (id) {
      case sectionId.type:
        return (reader) => this.#type(reader);
      case sectionId.import:
        return (reader) => this.#import(reader);
      case sectionId.function:
        return (reader) => this.#functionTypes.push(this.#typeIndex(reader));
      case sectionId.table:
        return (reader) => this.#table(reader);
      case sectionId.memory:
        return (reader) => this.#addMemory(reader, "defined");
      case sectionId.tag:
        return (reader) => this.#tag(reader);
      case sectionId.global:
        return (reader) => this.#global(reader);
      case sectionId.export:
        return (reader) => this.#export(reader);
      case sectionId.element:
        return (reader) => this.#element(reader);
      default:
        return undefined;
    }
  }

  #type(reader: BinaryReader): void {
    const offset = reader.position;
    const form = reader.u8();
    if (form === 0x5e || form === 0x5f || (form >= 0x4c && form <= 0x50))
      reader.fail("the module declares garbage-collected types, which the sandbox refuses", offset);
    if (form !== 0x60) reader.fail(`the module declares a type of the unknown kind 0x${form.toString(16)}`, offset);
    const parameters = reader.u32();
    for (let index = 0; index < parameters; index++) valueType(reader);
    const results = reader.u32();
    for (let index = 0; index < results; index++) valueType(reader);
    this.#types.push({ parameters, results });
  }

  #typeIndex(reader: BinaryReader): number {
    const offset = reader.position;
    const index = reader.u32();
    if (index >= this.#types.length) reader.fail(`type ${index} does not exist`, offset);
    return index;
  }

  #functionIndex(reader: BinaryReader): void {
    const offset = reader.position;
    const index = reader.u32();
    if (index >= this.#functionTypes.length) reader.fail(`function ${index} does not exist`, offset);
  }

  #globalIndex(reader: BinaryReader): void {
    const offset = reader.position;
    const index = reader.u32();
    if (index >= this.#globals) reader.fail(`global ${index} does not exist`, offset);
  }

  #import(reader: BinaryReader): void {
    const offset = reader.position;
    const from = new TextDecoder().decode(reader.name());
    const name = new TextDecoder().decode(reader.name());
    const kind = reader.u8();
    if (kind === 0) {
      this.#functionTypes.push(this.#typeIndex(reader));
      this.#importedFunctions++;
    } else if (kind === 1) {
      this.#requirePart(reader, `the table '${from}.${name}'`, offset);
      referenceType(reader);
      readLimits(reader, "table");
    } else if (kind === 2) {
      this.#requirePart(reader, `the memory '${from}.${name}'`, offset);
      this.#addMemory(reader, "imported");
    } else if (kind === 3) {
      valueType(reader);
      const mutability = reader.u8();
      if (mutability !== 0) this.#requirePart(reader, `the mutable global '${from}.${name}'`, offset);
      this.#globals++;
    } else if (kind === 4) this.#tag(reader);
    else reader.fail(`the import '${from}.${name}' is of the unknown kind ${kind}`, offset);
  }

  #requirePart(reader: BinaryReader, what: string, offset: number): void {
    if (this.#limits.partOf === undefined) reader.fail(`the module imports ${what}, which the sandbox refuses`, offset);
  }

  #table(reader: BinaryReader): void {
    const offset = reader.position;
    const type = this.#bytes[offset] ?? 0;
    if (type === 0x40) reader.fail("the module has a table with an initial value, which the sandbox refuses", offset);
    referenceType(reader);
    const { minimum, maximum } = readLimits(reader, "table");
    const most = this.#limits.tableEntries;
    if (minimum > most)
      reader.fail(`the module's table has ${minimum} entries at least, and the limit is ${most}`, offset);
    if (this.#tables.length === mostTables) reader.fail(`the module has more than ${mostTables} tables`, offset);
    this.#tables.push({ type, minimum, maximum: Math.min(maximum ?? most, most) });
  }

  #addMemory(reader: BinaryReader, origin: "defined" | "imported"): void {
    const offset = reader.position;
    if (this.#memory !== undefined)
      reader.fail("the module has more than one memory (multi-memory), which the sandbox refuses", offset);
    const { minimum, maximum = mostPages } = readLimits(reader, "memory");
    if (maximum > mostPages) reader.fail("the module's memory has a maximum above 4 GiB", offset);
    const most = Math.floor(this.#limits.memoryBytes / bytesPerPage);
    if (minimum > most && origin === "defined")
      reader.fail(
        `the module's memory has ${minimum * bytesPerPage} bytes at least, and the limit is ${this.#limits.memoryBytes}`,
        offset,
      );
    const isImported = origin === "imported";
    this.#memory = { minimum, maximum: isImported ? maximum : Math.min(maximum, most), isImported };
  }

  #tag(reader: BinaryReader): void {
    const offset = reader.position;
    const attribute = reader.u8();
    if (attribute !== 0) reader.fail(`a tag has the unknown attribute ${attribute}`, offset);
    const type = this.#types[this.#typeIndex(reader)];
    if (type !== undefined) this.#tags.push(type);
  }

  #global(reader: BinaryReader): void {
    valueType(reader);
    const mutability = reader.u8();
    if (mutability > 1) reader.fail("a global is neither mutable nor immutable", reader.position - 1);
    this.#constant(reader);
    this.#globals++;
  }

  #export(reader: BinaryReader): void {
    const offset = reader.position;
    const name = new TextDecoder().decode(reader.name());
    if (name === fuelExports.set || name === fuelExports.get)
      reader.fail(`the module exports '${name}', a name that the sandbox reserves`, offset);
    const kind = reader.u8();
    if (kind === 0) this.#functionIndex(reader);
    else if (kind === 3) this.#globalIndex(reader);
    else reader.u32();
  }

  #element(reader: BinaryReader): void {
    const offset = reader.position;
    const flags = reader.u32();
    if (flags > 7) reader.fail(`an element segment has the unknown flags ${flags}`, offset);
    const active = (flags & 1) === 0;
    const indexed = (flags & 2) !== 0;
    const expressions = (flags & 4) !== 0;
    if (active && indexed) reader.u32();
    if (active) this.#constant(reader);
    if (!active || indexed) {
      if (expressions) referenceType(reader);
      else if (reader.u8() !== 0) reader.fail("an element segment is of an unknown kind", reader.position - 1);
    }
    const count = reader.u32();
    for (let index = 0; index < count; index++) {
      if (expressions) this.#constant(reader);
      else this.#functionIndex(reader);
    }
  }

  #constant(reader: BinaryReader): void {
    constantExpression(reader, this.#functionCount(), this.#globals);
  }

  #functionCount(): number {
    return this.#functionTypes.length;
  }
}
