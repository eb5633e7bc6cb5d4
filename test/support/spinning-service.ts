import { assemble } from "./wat.ts";

/**
 * A Proxy-Wasm service that answers 200 with `ok` to a request without a body, loops for ever when the request has a
 * header `x-spin`, and otherwise waits for the end of the body before it answers.
 */
export const spinningService = (): Promise<Uint8Array<ArrayBuffer>> =>
  assemble(
    "spinning-service",
    `(module
      (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
      (import "env" "proxy_send_local_response" (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 2)
      (global $top (mut i32) (i32.const 4096))
      (data (i32.const 16) "x-spinok")
      (func (export "proxy_abi_version_0_2_1"))
      (func (export "malloc") (param $size i32) (result i32)
        (local $at i32)
        (local.set $at (global.get $top))
        (global.set $top (i32.add (i32.const 4096) (i32.and (i32.add (local.get $at) (local.get $size)) (i32.const 0x7fff))))
        (local.get $at))
      (func $answer (result i32)
        (drop (call $respond (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 22) (i32.const 2) (i32.const 0) (i32.const 0) (i32.const -1)))
        (i32.const 1))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (if (i32.eqz (call $get (i32.const 0) (i32.const 16) (i32.const 6) (i32.const 0) (i32.const 4)))
          (then (loop $for_ever (br $for_ever))))
        (if (result i32) (local.get 2) (then (call $answer)) (else (i32.const 0))))
      (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (if (result i32) (local.get 2) (then (call $answer)) (else (i32.const 0)))))`,
  );
