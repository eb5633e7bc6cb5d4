/** What a component becomes, and its form in files and pipes. */
import { Buffer } from "node:buffer";
import type { VersionedInterface } from "./interface-name.ts";

/** A core module that came out of a component. */
export interface TranspiledCore {
  /** Under which the glue asks for it. */
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How many instances the glue makes of it. */
  readonly instances: number;
}

export interface Transpiled {
  /** The body of a function that returns `instantiate`. */
  readonly glue: string;
  readonly cores: readonly TranspiledCore[];
  /** Names in full of the interfaces and functions that are imported and exported. */
  readonly imports: readonly string[];
  readonly exports: readonly string[];
}

/** Interfaces with functions that wait, or that are entered and wait themselves. */
export interface AsyncInterface extends VersionedInterface {
  readonly functions: readonly string[];
}

/** What of a component may be suspended. */
export interface AsyncInterfaces {
  readonly imports: readonly AsyncInterface[];
  readonly exports: readonly AsyncInterface[];
}

/** Changes with the form, and with everything that the transpiling process does to the same component. */
export const transpiledVersion = 7;
/** Of @bytecodealliance/jco-transpile. */
export const transpilerVersion = "0.15.0";

export const digestBytes = 32;
/** The first byte of what the transpiling process answers. */
export const answerKind = { transpiled: 1, refused: 2 } as const;
const headBytes = 4;

interface Header {
  readonly glue: number;
  readonly cores: readonly { readonly name: string; readonly bytes: number; readonly instances: number }[];
  readonly imports: readonly string[];
  readonly exports: readonly string[];
}

/** Its pieces in their order, without the digest that ends a file. */
export function encodeTranspiled({ glue, cores, imports, exports }: Transpiled): Uint8Array[] {
  const text = Buffer.from(glue);
  const sizes = cores.map(({ name, bytes, instances }) => ({ name, bytes: bytes.length, instances }));
  const header: Header = { glue: text.length, cores: sizes, imports, exports };
  const head = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(headBytes);
  length.writeUInt32LE(head.length);
  return [length, head, text, ...cores.map(({ bytes }) => bytes)];
}

/** Reads what was found to be whole; the core modules are views of it. */
export function decodeTranspiled(bytes: Uint8Array<ArrayBuffer>): Transpiled {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = headBytes;
  const text = (length: number): string => {
    at += length;
    return buffer.toString("utf8", at - length, at);
  };
  const header: Header = JSON.parse(text(buffer.readUInt32LE(0)));
  const glue = text(header.glue);
  const cores = header.cores.map(({ name, bytes: length, instances }) => {
    at += length;
    return { name, bytes: bytes.subarray(at - length, at), instances };
  });
  return { glue, cores, imports: header.imports, exports: header.exports };
}
