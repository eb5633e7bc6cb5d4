import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hostError, reasonOf } from "./errors.ts";
import { throwReadableErrors } from "./readable-errors.ts";

const failed = (payload: unknown): Error =>
  Object.assign(new Error("[object Object] (see error.payload)"), { payload });

describe("what is thrown out of an export", () => {
  it("is an error by what the host said", () => {
    const payload = { tag: "permission-denied", val: "the store was not granted" };
    const handler = {
      greeting: "hello",
      handle(name: string): string {
        if (name === "") throw failed(payload);
        return `${this.greeting} ${name}`;
      },
    };
    throwReadableErrors({ handler, version: "1.0.0", nothing: null, frozen: Object.freeze({ handle() {} }) });
    assert.equal(handler.handle("Ada"), "hello Ada");
    assert.throws(
      () => handler.handle(""),
      (error: Error) => {
        assert.equal(error.message, "permission-denied: the store was not granted");
        assert.equal(hostError(error), payload);
        return true;
      },
    );
  });

  it("is as it was when the host did not say anything", () => {
    const thrown = [new TypeError("no price"), "a text", undefined];
    for (const one of thrown) {
      const handler = {
        handle(): void {
          throw one;
        },
      };
      throwReadableErrors({ handler });
      try {
        handler.handle();
        assert.fail("it did not throw");
      } catch (error) {
        assert.equal(error, one);
      }
    }
  });
});

describe("the reason of an error", () => {
  it("is one sentence", () => {
    assert.equal(reasonOf(failed({ tag: "not-found", val: "there is none" })), "not-found: there is none");
    assert.equal(reasonOf(failed({ tag: "access-denied" })), "access-denied");
    assert.equal(reasonOf(new Error("no price")), "no price");
    assert.equal(reasonOf("no price"), "no price");
  });
});
