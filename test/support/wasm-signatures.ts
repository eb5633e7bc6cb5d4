import { BinaryReader } from "../../runtime/plugin/sandbox/binary-reader.ts";
import { sectionId } from "../../runtime/plugin/sandbox/module-layout.ts";

/** A function that crosses the border of a module: `i32 i32 -> i32`. */
export interface CrossingFunction {
  readonly module: string;
  readonly name: string;
  readonly signature: string;
}

const valueTypes: Readonly<Record<number, string>> = { 127: "i32", 126: "i64", 125: "f32", 124: "f64" };
const functionKind = 0;

/** What a module imports and exports, with the types of its functions. Throws for imports of another kind. */
export function crossingFunctions(bytes: Uint8Array): {
  readonly imports: readonly CrossingFunction[];
  readonly exports: readonly CrossingFunction[];
} {
  const reader = new BinaryReader(bytes, "module", 8);
  const sections = new Map<number, BinaryReader>();
  while (!reader.done) {
    const id = reader.u8();
    const size = reader.u32();
    const start = reader.position;
    reader.take(size);
    sections.set(id, new BinaryReader(bytes, `section ${id}`, start, reader.position));
  }
  const items = <Item>(id: number, read: (section: BinaryReader) => Item): Item[] => {
    const section = sections.get(id);
    return section === undefined ? [] : Array.from({ length: section.u32() }, () => read(section));
  };
  const types = items(sectionId.type, readType);
  const imports = items(sectionId.import, (section) => {
    const module = readName(section);
    const name = readName(section);
    if (section.u8() !== functionKind) section.fail(`'${module}.${name}' is no function`);
    return { module, name, signature: types[section.u32()] ?? "" };
  });
  const own = items(sectionId.function, (section) => types[section.u32()] ?? "");
  const signatures = [...imports.map(({ signature }) => signature), ...own];
  const exports = items(sectionId.export, (section) => {
    const name = readName(section);
    const kind = section.u8();
    const index = section.u32();
    return kind === functionKind ? [{ module: "", name, signature: signatures[index] ?? "" }] : [];
  });
  return { imports, exports: exports.flat() };
}

const readName = (section: BinaryReader): string => Buffer.from(section.name()).toString();

function readType(section: BinaryReader): string {
  if (section.u8() !== 0x60) section.fail("a type is none of a function");
  const values = (): string =>
    Array.from({ length: section.u32() }, () => valueTypes[section.u8()] ?? section.fail("an unknown type")).join(" ");
  return `${values()} -> ${values()}`;
}
