/** What is left to do of a component that was rewritten before: its modules are compiled, and its code is read. */
import { Buffer } from "node:buffer";
import type { RewrittenPart } from "../plugin/sandbox/compile-worker.ts";

/** Changes with the form of the file. */
export const readyVersion = 2;

/** A core module as the sandbox rewrote it. */
export interface ReadyCore extends RewrittenPart {
  /** Under which the glue asks for it. */
  readonly name: string;
}

export interface ReadyComponent {
  readonly glue: string;
  readonly glueCode: Uint8Array<ArrayBuffer>;
  readonly cores: readonly ReadyCore[];
  readonly imports: readonly string[];
  readonly exports: readonly string[];
}

interface Header {
  readonly glue: number;
  readonly glueCode: number;
  readonly cores: readonly (Omit<ReadyCore, "bytes" | "codeMap"> & {
    readonly bytes: number;
    readonly codeMap: number;
  })[];
  readonly imports: readonly string[];
  readonly exports: readonly string[];
}

const headBytes = 4;

/** Its pieces in their order, without the digest that ends a file. */
export function encodeReady({ glue, glueCode, cores, imports, exports }: ReadyComponent): Uint8Array[] {
  const text = Buffer.from(glue);
  const sizes = cores.map(({ name, bytes, codeMap, originalBytes, fuelShare }) => {
    return { name, bytes: bytes.length, codeMap: codeMap.length, originalBytes, fuelShare };
  });
  const header: Header = { glue: text.length, glueCode: glueCode.length, cores: sizes, imports, exports };
  const head = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(headBytes);
  length.writeUInt32LE(head.length);
  return [length, head, text, glueCode, ...cores.flatMap(({ bytes, codeMap }) => [codeMap, bytes])];
}

/** Reads what was found to be whole; the bytes of the modules are views of it, and all else is not. */
export function decodeReady(bytes: Uint8Array<ArrayBuffer>): ReadyComponent {
  let at = headBytes;
  const view = (length: number): Uint8Array<ArrayBuffer> => {
    at += length;
    return bytes.subarray(at - length, at);
  };
  const text = (length: number): string => Buffer.from(view(length)).toString();
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const header: Header = JSON.parse(text(buffer.readUInt32LE(0)));
  const glue = text(header.glue);
  const glueCode = view(header.glueCode).slice();
  const cores = header.cores.map(({ bytes: length, codeMap, ...one }) => {
    const map = view(codeMap).slice();
    return { ...one, codeMap: map, bytes: view(length) };
  });
  return { glue, glueCode, cores, imports: header.imports, exports: header.exports };
}
