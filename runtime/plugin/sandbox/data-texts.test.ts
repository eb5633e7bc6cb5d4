import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assemble } from "../../../test/support/wat.ts";
import { textsInData } from "./data-texts.ts";

describe("texts among the data of a module", () => {
  it("are found in UTF-8 and in UTF-16, wherever they begin, and nowhere else in the module", async () => {
    const wide = [..."wide"].map((letter) => `${letter}\\00`).join("");
    const module = await assemble(
      "texts",
      `(module (memory 1) (export "named" (memory 0))
        (data (i32.const 0) "narrow") (data (i32.const 100) "odd ${wide}") (data "passive"))`,
    );
    const texts = ["wide", "narrow", "passive", "named", "absent"];
    assert.deepEqual(textsInData(module, texts), ["wide", "narrow", "passive"]);
  });

  it("are none in a module without data", async () => {
    assert.deepEqual(textsInData(await assemble("dataless", "(module)"), ["text"]), []);
  });
});
