import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readableName } from "./rust-names.ts";

/** Made by rustc 1.95 and 1.63. */
const names: Readonly<Record<string, string>> = {
  _RNvMs0_Cs5DZRIyPmciN_8stumblerNtB5_6Stream7stumble: "stumbler::Stream::stumble",
  _RNvXs_Cs5DZRIyPmciN_8stumblerNtB4_6StreamNtNtCs3nZsW7t54Oh_10proxy_wasm6traits11HttpContext23on_http_request_headers:
    "<stumbler::Stream as proxy_wasm::traits::HttpContext>::on_http_request_headers",
  _RNvNtCsebHcaeoSrxy_3std9panicking15panic_with_hook: "std::panicking::panic_with_hook",
  _RNCNvNtCsebHcaeoSrxy_3std9panicking13panic_handler0B5_: "std::panicking::panic_handler::{closure}",
  _RNvCsfLfy6EI15iL_7___rustc17rust_begin_unwind: "__rustc::rust_begin_unwind",
  _RNvMs2_NtCs5cOc02OMXlo_5alloc7raw_vecNtB5_11RawVecInner10deallocateCs3nZsW7t54Oh_10proxy_wasm:
    "alloc::raw_vec::RawVecInner::deallocate",
  _RINvCs1_3one4takeRShAjj3_NtB2_5PlaceDNtB2_5TraitEL_FUKChTbdEEuE: "one::take",
  _ZN8stumbler6Stream7stumble17h0123456789abcdefE: "stumbler::Stream::stumble",
  "_ZN68_$LT$stumbler..Stream$u20$as$u20$proxy_wasm..traits..HttpContext$GT$23on_http_request_headers17h0123456789abcdefE":
    "<stumbler::Stream as proxy_wasm::traits::HttpContext>::on_http_request_headers",
};

describe("the name of a function of Rust", () => {
  it("is the author's", () => {
    for (const [name, readable] of Object.entries(names)) assert.equal(readableName(name), readable);
  });

  it("stays what it is when it is of another language, or broken", () => {
    for (const name of [
      "main.run",
      "museum::Visitor::look() const",
      "_R",
      "_RNv",
      "_RNvC9short",
      "_ZN3fooE",
      "_ZN3foo3barEv",
    ])
      assert.equal(readableName(name), name);
  });

  it("is left alone when it refers to itself without end", () => {
    for (const name of [
      "_RB_",
      "_RMB_B_",
      `_R${"NvB_".repeat(10_000)}`,
      `_R${"S".repeat(100_000)}`,
      `_RINvC1a1b${"TB9_B9_".repeat(90)}E`,
    ])
      assert.equal(readableName(name), name);
  });
});
