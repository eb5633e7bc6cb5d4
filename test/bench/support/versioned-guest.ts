import { packManifest } from "../../../runtime/plugin/packed-manifest.ts";
import { drop, guestText } from "../../support/proxy-wasm-guest.ts";
import { assemble } from "../../support/wat.ts";

const placeholder = "v0000000";
const megabyte = 1_000_000;
/** Functions of about 150 bytes, as compilers make them. */
const functions = 5_000;

/** What the module of that number answers to every request. */
export const answerOf = (version: number): string => `v${String(version).padStart(placeholder.length - 1, "0")}`;

/**
 * A service of 1 MB that answers every request with its number. About three quarters of it are code, some thousand functions
 * with loops, loads and stores; the rest is data. The modules of two numbers differ, and so do their digests.
 */
export async function versionedGuest(plugin: string) {
  const small = await assemble("versioned", textOf(0));
  const template = await assemble("versioned", textOf(megabyte - small.length));
  const at = Buffer.from(template.buffer).indexOf(placeholder);
  const manifestOf = (version: number): string => `name: ${plugin}\nversion: "${version}"\nkind: service\n`;
  return {
    manifestOf,
    /** With its manifest inside. */
    moduleOf: (version: number): Uint8Array<ArrayBuffer> => {
      const module = Buffer.from(template);
      module.write(answerOf(version), at, "latin1");
      return packManifest(module, manifestOf(version));
    },
  };
}

function textOf(paddingBytes: number): string {
  return guestText((place) => ({
    fields: [
      ...Array.from({ length: functions }, (_, index) => fillerOf(index)),
      `(data (i32.const 65536) "${"outrigger ".repeat(Math.ceil(paddingBytes / 10)).slice(0, paddingBytes)}")`,
    ].join("\n"),
    pages: "16",
    on: {
      proxy_on_request_headers: `${drop(
        `(call $proxy_send_local_response (i32.const 200) (i32.const 0) (i32.const 0) ${place(placeholder)} (i32.const 0) (i32.const 0) (i32.const -1))`,
      )} (i32.const 1)`,
    },
  }));
}

/** A hash over a part of the memory, a little different in each. */
function fillerOf(index: number): string {
  const mixed = (value: string, shift: number): string =>
    `(i32.xor ${value} (i32.shr_u ${value} (i32.const ${shift})))`;
  return `(func (param $at i32) (param $end i32) (result i32) (local $hash i32)
    (local.set $hash (i32.const ${(index * 2_654_435_761) | 0}))
    (block $done (loop $again
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (local.set $hash (i32.mul (i32.xor (local.get $hash) (i32.load8_u (local.get $at))) (i32.const ${index * 2 + 1})))
      (local.set $hash ${mixed("(local.get $hash)", 1 + (index % 15))})
      (if (i32.eqz (i32.and (local.get $hash) (i32.const 255)))
        (then (i32.store (i32.and (local.get $at) (i32.const -4)) (local.get $hash)))
        (else (local.set $hash (i32.add (local.get $hash) (i32.const ${index})))))
      (local.set $at (i32.add (local.get $at) (i32.const ${1 + (index % 8)})))
      (br $again)))
    (i32.add ${mixed("(local.get $hash)", 16)} ${mixed("(local.get $hash)", 8)}))`;
}
