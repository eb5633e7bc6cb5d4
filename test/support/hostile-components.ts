/** Components that harm whoever runs them, as far as they are let. */
import { assembleComponent, componentGuest } from "./component-guests.ts";
import { coreComponent } from "./core-component.ts";

const handler = "outrigger:runtime/handler@0.1.0";
const parameters = "i32 ".repeat(12);
const wasi = "0.2.10";
const mebibyte = 1024 ** 2;
const line = "a line of output that nobody asked for";

/** What one does when the path of a request ends with its name. */
const acts = {
  /** Answers. */
  well: "(call $answer (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
  loop: "(loop $again (br $again)) (unreachable)",
  grow: "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)",
  recursion: "(call $deeper (i32.const 0))",
  success: "(call $exit (i32.const 0)) (unreachable)",
  failure: "(call $exit (i32.const 1)) (unreachable)",
  /** It goes on when it was told to end. */
  insistence: "(loop $again (call $exit (i32.const 1)) (br $again)) (unreachable)",
  /** Makes lists of fields, and lets none of them go. */
  handles: "(loop $again (drop (call $fields)) (br $again)) (unreachable)",
  prints: `
    (local.set $handle (call $stdout))
    (loop $again (call $print (local.get $handle) (i32.const 64) (i32.const ${line.length + 1}) (i32.const 8192)) (br $again))
    (unreachable)`,
  waits: "(call $block (call $timer (i64.const 3600000000000))) (unreachable)",
  /** A body that would be larger than its memory, and one of 100 MB. */
  lies: "(call $answer (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0x7fffffff))",
  much: `
    (drop (memory.grow (i32.const 1700)))
    (call $answer (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 100000000))`,
  /** Fields without end, of nothing; and many that are each the whole of its memory. */
  fields: "(call $answer (i32.const 0) (i32.const 0x07ffffff) (i32.const 0) (i32.const 0))",
  nothings: `
    (drop (memory.grow (i32.const 1700)))
    (call $answer (i32.const 65536) (i32.const 6000000) (i32.const 0) (i32.const 0))`,
  copies: `
    (drop (memory.grow (i32.const 1700)))
    (memory.fill (i32.const 65536) (i32.const 97) (i32.const ${100 * mebibyte}))
    (call $same (i32.const 32768) (i32.const 1000) (i32.const 65536) (i32.const ${90 * mebibyte}))
    (call $answer (i32.const 32768) (i32.const 1000) (i32.const 0) (i32.const 0))`,
  /** The same, asked of the host. */
  keys: `
    (drop (memory.grow (i32.const 1700)))
    (memory.fill (i32.const 65536) (i32.const 97) (i32.const ${100 * mebibyte}))
    (call $same (i32.const 32768) (i32.const 2000) (i32.const 65536) (i32.const ${90 * mebibyte}))
    (call $getMany (i32.const 0) (i32.const 0) (i32.const 32768) (i32.const 2000) (i32.const 8192))
    (unreachable)`,
} as const;

export type Act = keyof typeof acts;
export const hostileActs = Object.keys(acts) as Act[];

/** Where the names of the acts lie in its memory, from there on. */
const names = 48_000;
/** What it is given lies there until it has answered. */
const given = 100_000;

function dispatch(): string {
  let at = names;
  return hostileActs
    .map((act) => {
      const here = at;
      at += act.length;
      return `(if (call $ends (local.get 2) (local.get 3) (i32.const ${here}) (i32.const ${act.length}))
        (then (return (call $do-${act}))))`;
    })
    .join("\n");
}

/** A service whose path says what it does. */
export const hostileService = (): Promise<Uint8Array<ArrayBuffer>> =>
  coreComponent(
    "hostile",
    `(module
      (import "wasi:cli/exit@${wasi}" "exit" (func $exit (param i32)))
      (import "wasi:http/types@${wasi}" "[constructor]fields" (func $fields (result i32)))
      (import "wasi:cli/stdout@${wasi}" "get-stdout" (func $stdout (result i32)))
      (import "wasi:io/streams@${wasi}" "[method]output-stream.blocking-write-and-flush" (func $print (param i32 i32 i32 i32)))
      (import "wasi:clocks/monotonic-clock@${wasi}" "subscribe-duration" (func $timer (param i64) (result i32)))
      (import "wasi:io/poll@${wasi}" "[method]pollable.block" (func $block (param i32)))
      (import "outrigger:runtime/state@0.1.0" "get-many" (func $getMany (param i32 i32 i32 i32 i32)))
      (memory (export "memory") 2)
      (data (i32.const ${names}) "${hostileActs.join("")}")
      (data (i32.const 64) "${line}\\n")
      (global $free (mut i32) (i32.const ${given}))
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (local.set 0 (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
        (global.set $free (i32.add (local.get 0) (local.get 3)))
        (local.get 0))
      (func $answer (param i32 i32 i32 i32) (result i32)
        (global.set $free (i32.const ${given}))
        (i32.store16 (i32.const 16) (i32.const 200))
        (i32.store (i32.const 20) (local.get 0))
        (i32.store (i32.const 24) (local.get 1))
        (i32.store (i32.const 28) (local.get 2))
        (i32.store (i32.const 32) (local.get 3))
        (i32.const 16))
      (func $deeper (param i32) (result i32) (i32.add (i32.const 1) (call $deeper (i32.add (local.get 0) (i32.const 1)))))
      (func $same (param $at i32) (param $count i32) (param $text i32) (param $size i32)
        (loop $again
          (i32.store (local.get $at) (local.get $text))
          (i32.store (i32.add (local.get $at) (i32.const 4)) (local.get $size))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br_if $again (local.get $count))))
      (func $ends (param $text i32) (param $size i32) (param $name i32) (param $length i32) (result i32)
        (if (i32.lt_u (local.get $size) (local.get $length)) (then (return (i32.const 0))))
        (local.set $text (i32.sub (i32.add (local.get $text) (local.get $size)) (local.get $length)))
        (loop $again
          (if (i32.ne (i32.load8_u (local.get $text)) (i32.load8_u (local.get $name))) (then (return (i32.const 0))))
          (local.set $text (i32.add (local.get $text) (i32.const 1)))
          (local.set $name (i32.add (local.get $name) (i32.const 1)))
          (local.set $length (i32.sub (local.get $length) (i32.const 1)))
          (br_if $again (local.get $length)))
        (i32.const 1))
      ${hostileActs.map((act) => `(func $do-${act} (result i32) (local $handle i32) ${acts[act]})`).join("\n")}
      (func (export "${handler}#handle") (param ${parameters}) (result i32)
        ${dispatch()}
        (unreachable)))`,
    `import wasi:cli/exit@${wasi};
     import wasi:cli/stdout@${wasi};
     import wasi:io/streams@${wasi};
     import wasi:io/poll@${wasi};
     import wasi:clocks/monotonic-clock@${wasi};
     import wasi:http/types@${wasi};
     import outrigger:runtime/state@0.1.0;
     export ${handler};`,
  );

/** A service that does not come to an end of its start, or has no room for it. */
export const endlessStart = (how: "loop" | "grow"): Promise<Uint8Array<ArrayBuffer>> =>
  coreComponent(
    `start-${how}`,
    `(module
      (memory (export "memory") 1)
      (func $start ${
        how === "loop"
          ? "(loop $again (br $again))"
          : "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (unreachable)"
      })
      (start $start)
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
      (func (export "${handler}#handle") (param ${parameters}) (result i32) (i32.const 16)))`,
    `export ${handler};`,
  );

/** What a thousand of something is written with: core modules, instances of one, or imports. */
export const aThousand = (what: "modules" | "instances" | "imports"): Promise<Uint8Array<ArrayBuffer>> =>
  assembleComponent(
    {
      modules: `(component ${"(core module)".repeat(1000)})`,
      instances: `(component (core module $m) ${"(core instance (instantiate $m))".repeat(1000)})`,
      imports: `(component ${Array.from({ length: 1000 }, (_, index) => `(import "test:many/one-${index}" (instance))`).join("")})`,
    }[what],
  );

/** A service in JavaScript: what its engine throws at it, it catches. */
export const hostileScript = (): Promise<Uint8Array<ArrayBuffer>> =>
  componentGuest({
    source: `
      const acts = {
        well: () => "well",
        loop() { for (;;); },
        insistence() { for (;;) { try { throw new Error("again"); } catch {} } },
        heap() { const kept = []; for (;;) kept.push({ kept: [] }); },
        hunger() { const kept = []; for (;;) { try { kept.push(new Uint8Array(1_000_000)); } catch {} } },
        text() { let text = "text"; for (;;) text += text; },
        recursion() { const deeper = () => deeper() + 1; return deeper(); },
        depths() { const deeper = () => { try { return deeper() + 1; } catch { return deeper(); } }; return deeper(); },
      };
      export const handler = {
        handle({ path }) {
          const text = acts[path.split("/").at(-1)]();
          return { status: 200, headers: [], body: Uint8Array.from(text, (character) => character.charCodeAt(0)) };
        },
      };`,
    world: "service",
    wasi: "none",
  });
