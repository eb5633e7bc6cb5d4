/** Every type of WIT that may hold many bytes, in both directions: what moves it tells how much. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { assembleComponent } from "../../test/support/component-guests.ts";
import { SandboxCompiler } from "../plugin/sandbox/compiler.ts";
import { ComponentCompiler } from "./component-compiler.ts";
import { type Crossings, crossingsName } from "./watch-crossings.ts";

const modules = new SandboxCompiler();
const compiler = new ComponentCompiler({ modules, interfaces: { imports: [], exports: [] } });
after(async () => {
  await compiler[Symbol.asyncDispose]();
  await modules[Symbol.asyncDispose]();
});
const limits = { memoryBytes: 16 * 1024 ** 2, tableEntries: 10_000, startFuel: 50_000_000 };

/** Elements of each list that is passed. */
const count = 3;
/** Where a text lies, a list of two texts, the values themselves, the list of them, and what the host gives. */
const places = { text: 1_024, texts: 2_048, result: 512, values: 4_096, given: 32_768 } as const;
const text = "abcdefgh";
const textWords = [places.text, text.length];
const textsWords = [places.texts, 2];

interface Crossing {
  /** How many of each an element tells of. */
  readonly texts?: number;
  readonly copies?: number;
  readonly lists?: number;
  readonly size: number;
  /** The words of one value in memory, from its beginning. */
  readonly words: readonly number[];
  readonly value: unknown;
}

const bytes = Buffer.from(text);
const types: Readonly<Record<string, Crossing>> = {
  bool: { size: 1, words: [1], value: true },
  char: { size: 4, words: [97], value: "a" },
  string: { size: 8, words: textWords, value: text, texts: 1 },
  "(list u8)": { size: 8, words: textWords, value: Uint8Array.from(bytes), copies: 1 },
  "(list u16)": { size: 8, words: [places.text, 0], value: new Uint16Array(0), copies: 1 },
  "(list string)": { size: 8, words: textsWords, value: [text, text], texts: 2, lists: 1 },
  "(list (tuple string))": { size: 8, words: textsWords, value: [[text], [text]], texts: 2, lists: 1 },
  "(tuple string string)": { size: 16, words: [...textWords, ...textWords], value: [text, text], texts: 2 },
  "(tuple string (list u8))": {
    size: 16,
    words: [...textWords, ...textWords],
    value: [text, Uint8Array.from(bytes)],
    texts: 1,
    copies: 1,
  },
  "(option string)": { size: 12, words: [1, ...textWords], value: text, texts: 1 },
  "(option (list string))": { size: 12, words: [1, ...textsWords], value: [text, text], texts: 2, lists: 1 },
  "(result string (error u32))": { size: 12, words: [0, ...textWords], value: { tag: "ok", val: text }, texts: 1 },
  "(result u32 (error string))": { size: 12, words: [1, ...textWords], value: { tag: "err", val: text }, texts: 1 },
  "(result)": { size: 1, words: [0], value: { tag: "ok", val: undefined } },
  $rec: { size: 12, words: [7, ...textWords], value: { a: 7, b: text }, texts: 1 },
  $vrnt: { size: 12, words: [1, ...textWords], value: { tag: "text", val: text }, texts: 1 },
  $enm: { size: 1, words: [1], value: "y" },
  $flg: { size: 1, words: [3], value: { p: true, q: true, r: false } },
};
const scalars = {
  u8: Uint8Array,
  s8: Int8Array,
  u16: Uint16Array,
  s16: Int16Array,
  u32: Uint32Array,
  s32: Int32Array,
  u64: BigUint64Array,
  s64: BigInt64Array,
  f32: Float32Array,
  f64: Float64Array,
} as const;

const named = {
  rec: '(record (field "a" u8) (field "b" string))',
  vrnt: '(variant (case "none") (case "text" string) (case "bytes" (list u8)))',
  enm: '(enum "x" "y")',
  flg: '(flags "p" "q" "r")',
} as const;

/** Of each type it takes a list from its host and gives it one, in calls that it makes and in calls that are made of it. */
function component(elements: readonly string[], encoding: string): string {
  const each = (text: (list: string, index: number) => string): string =>
    elements.map((type, index) => text(`(list ${type})`, index)).join("\n");
  const options = `(memory $mem) (realloc $realloc) string-encoding=${encoding}`;
  const names = Object.entries(named);
  return `(component
    (import "test:crossing/host@0.1.0" (instance $host
      ${names.map(([name, type]) => `(type $${name}0 ${type}) (export "${name}" (type $${name} (eq $${name}0)))`).join("\n")}
      ${each((list, index) => `(export "take${index}" (func (param "a" ${list}))) (export "give${index}" (func (result ${list})))`)}))
    ${names.map(([name]) => `(alias export $host "${name}" (type $${name}))`).join("\n")}
    (core module $libc (memory (export "memory") 2)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const ${places.given})))
    (core instance $l (instantiate $libc))
    (alias core export $l "memory" (core memory $mem)) (alias core export $l "realloc" (core func $realloc))
    ${each(
      (_, index) => `(core func $take${index} (canon lower (func $host "take${index}") ${options}))
        (core func $give${index} (canon lower (func $host "give${index}") ${options}))`,
    )}
    (core module $m
      ${each(
        (_, index) => `(import "h" "take${index}" (func $take${index} (param i32 i32)))
          (import "h" "give${index}" (func $give${index} (param i32)))`,
      )}
      ${each(
        (_, index) => `
          (func (export "passes${index}") (call $take${index} (i32.const ${places.values}) (i32.const ${count})))
          (func (export "asks${index}") (call $give${index} (i32.const ${places.given})))
          (func (export "takes${index}") (param i32 i32))
          (func (export "gives${index}") (result i32) (i32.const ${places.result}))`,
      )})
    (core instance $i (instantiate $m (with "h" (instance
      ${each((_, index) => `(export "take${index}" (func $take${index})) (export "give${index}" (func $give${index}))`)}))))
    ${each((list, index) => {
      const lift = (name: string): string => `(canon lift (core func $i "${name}${index}") ${options})`;
      return `(func (export "passes${index}") ${lift("passes")}) (func (export "asks${index}") ${lift("asks")})
        (func (export "takes${index}") (param "a" ${list}) ${lift("takes")})
        (func (export "gives${index}") (result ${list}) ${lift("gives")})`;
    })})`;
}

class Told implements Crossings {
  readonly now = { calls: 0, texts: 0, copies: 0, lists: 0, given: 0 };

  call(): void {
    this.now.calls++;
  }

  step(): void {}

  text(): void {
    this.now.texts++;
  }

  bytes(): void {
    this.now.copies++;
  }

  list(): void {
    this.now.lists++;
  }

  given(amount: number): void {
    this.now.given += amount;
  }

  /** What was told since the last time. */
  take(): Readonly<typeof this.now> {
    const told = { ...this.now };
    Object.assign(this.now, { calls: 0, texts: 0, copies: 0, lists: 0, given: 0 });
    return told;
  }
}

async function start(elements: readonly string[], encoding: string) {
  const module = await compiler.compile(await assembleComponent(component(elements, encoding)), limits);
  const told = new Told();
  const taken: unknown[] = [];
  const gifts: unknown[] = [];
  const host = Object.fromEntries(
    elements.flatMap((_, index) => [
      [`take${index}`, (value: unknown) => void taken.push(value)],
      [`give${index}`, () => gifts[0]],
    ]),
  );
  let memory = new DataView(new ArrayBuffer(0));
  const exports = await module.instantiate(
    (name) => module.cores.get(name)?.module ?? assert.fail(name),
    { "test:crossing/host@0.1.0": host, [crossingsName]: told },
    async (core, imports) => {
      const instance = new WebAssembly.Instance(core, imports);
      if (instance.exports.memory instanceof WebAssembly.Memory) memory = new DataView(instance.exports.memory.buffer);
      return instance;
    },
  );
  const write = (at: number, words: readonly number[]): void =>
    words.forEach((word, index) => {
      memory.setUint32(at + index * 4, word, true);
    });
  new Uint8Array(memory.buffer).set([...bytes, ...bytes], places.text);
  write(places.texts, [...textWords, ...textWords]);
  write(places.result, [places.values, count]);
  const call = (name: string, ...values: unknown[]): unknown => Reflect.apply(Object(exports[name]), undefined, values);
  return { told, taken, gifts, write, call };
}

describe("what crosses into a guest and out of it", { timeout: 120_000 }, () => {
  const elements = [...Object.keys(types), ...Object.keys(scalars)];

  for (const encoding of ["utf8", "utf16"])
    it(`is told of whatever its type is, with texts in ${encoding}`, async () => {
      const { told, taken, gifts, write, call } = await start(elements, encoding);
      for (const [index, [type, crossing]] of Object.entries(types).entries()) {
        const { size, words, value, texts = 0, copies = 0, lists = 0 } = crossing;
        for (let element = 0; element < count; element++) write(places.values + element * size, words);
        const values = Array.from({ length: count }, () => value);
        const expected = { texts: texts * count, copies: copies * count, lists: 1 + lists * count, given: 0 };
        call(`passes${index}`);
        assert.deepEqual(told.take(), { ...expected, calls: 1 }, `${type} is passed`);
        const given = call(`gives${index}`);
        assert.deepEqual(told.take(), { ...expected, calls: 0 }, `${type} is given`);
        if (encoding === "utf8") assert.deepEqual([taken.pop(), given], [values, values], type);
        gifts[0] = values;
        const least = count * (1 + texts * text.length + lists * 2);
        call(`asks${index}`);
        assert.ok(told.take().given >= least, `${type} is asked for`);
        call(`takes${index}`, values);
        assert.ok(told.take().given >= least, `${type} is taken`);
      }
      for (const [index, [type, Numbers]] of Object.entries(scalars).entries()) {
        const at = index + Object.keys(types).length;
        const expected = { texts: 0, copies: 1, lists: 0, given: 0 };
        call(`passes${at}`);
        assert.deepEqual(told.take(), { ...expected, calls: 1 }, type);
        assert.ok(call(`gives${at}`) instanceof Numbers, type);
        assert.deepEqual(told.take(), { ...expected, calls: 0 }, type);
        gifts[0] = new Numbers(count);
        call(`asks${at}`);
        assert.equal(told.take().given, count * Numbers.BYTES_PER_ELEMENT, type);
        call(`takes${at}`, new Numbers(count));
        assert.equal(told.take().given, count * Numbers.BYTES_PER_ELEMENT, type);
      }
    });

  it("is told of between the parts of a component", async () => {
    const memory = `(core module $c (memory (export "memory") 2) (data (i32.const ${places.text}) "${text}")
      (data (i32.const ${places.values}) "\\00\\04\\00\\00\\08\\00\\00\\00")
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const ${places.given})) (func (export "f") (param i32 i32)))
      (core instance $l (instantiate $c)) (alias core export $l "memory" (core memory $mem)) (alias core export $l "realloc" (core func $realloc))`;
    const options = "(memory $mem) (realloc $realloc)";
    const module = await compiler.compile(
      await assembleComponent(`(component
        (component $A ${memory} (func (export "take") (param "a" (list string)) (canon lift (core func $l "f") ${options})))
        (component $B (import "take" (func $take (param "a" (list string)))) ${memory}
          (core func $t (canon lower (func $take) ${options}))
          (core module $m (import "h" "take" (func $t (param i32 i32)))
            (func (export "f") (call $t (i32.const ${places.values}) (i32.const 1))))
          (core instance $i (instantiate $m (with "h" (instance (export "take" (func $t))))))
          (func (export "f") (canon lift (core func $i "f"))))
        (instance $a (instantiate $A)) (instance $b (instantiate $B (with "take" (func $a "take"))))
        (export "f" (func $b "f")))`),
      limits,
    );
    const told = new Told();
    const exports = await module.instantiate(
      (name) => module.cores.get(name)?.module ?? assert.fail(name),
      { [crossingsName]: told },
      async (core, imports) => new WebAssembly.Instance(core, imports),
    );
    await Reflect.apply(Object(exports.f), undefined, []);
    assert.deepEqual(told.take(), { calls: 1, texts: 0, copies: 1, lists: 0, given: 0 });
  });
});
