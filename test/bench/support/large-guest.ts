/** A Proxy-Wasm guest of about so many bytes: its callbacks do nothing, and the rest of it is functions that nobody calls. */
export function largeGuest(bytes: number): Uint8Array<ArrayBuffer> {
  const filler = bodyOf(Array.from({ length: 1_000 }, (_, index) => [0x41, index % 64, 0x1a]).flat());
  const fillers = Math.ceil(bytes / filler.length);
  const functions = [bodyOf([]), bodyOf([0x41, 0x80, 0x08]), ...Array.from({ length: fillers }, () => filler)];
  const types = [0, 1, ...Array.from({ length: fillers }, () => 0)];
  return new Uint8Array(
    Buffer.concat([
      Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]),
      // () -> (), (i32) -> i32
      section(1, [2, 0x60, 0, 0, 0x60, 1, 0x7f, 1, 0x7f]),
      section(3, [...leb(types.length), ...types]),
      section(5, [1, 0, 1]),
      section(7, [3, ...named("memory", 2, 0), ...named("proxy_abi_version_0_2_1", 0, 0), ...named("malloc", 0, 1)]),
      section(10, Buffer.concat([Buffer.from(leb(functions.length)), ...functions])),
    ]),
  );
}

/** A function without locals, its length before it. */
function bodyOf(code: readonly number[]): Buffer {
  const body = [0, ...code, 0x0b];
  return Buffer.from([...leb(body.length), ...body]);
}

const named = (name: string, kind: number, index: number): number[] => [name.length, ...Buffer.from(name), kind, index];

const section = (id: number, content: readonly number[] | Buffer): Buffer =>
  Buffer.concat([Buffer.from([id, ...leb(content.length)]), Buffer.from(content)]);

/** LEB128 (WebAssembly Core, section 5.2.2). */
function leb(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)];
}
