import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CommandError } from "./command-error.ts";
import { rolloutOf } from "./rollout-options.ts";

const given = (options: Readonly<Record<string, string | true>>) => ({
  text: (name: string) => {
    const value = options[name];
    return value === true ? undefined : value;
  },
  is: (name: string) => options[name] === true,
});
const manifest = `
name: orders
rollout:
  canary: { percent: 5, hashBy: { cookie: session } }
  window: 10m
`;

describe("the rollout of a deploy", () => {
  it("is that of the manifest when no option is about it", () => {
    assert.equal(rolloutOf(given({ wait: true }), manifest), undefined);
  });

  it("is laid over that of the manifest, key by key", () => {
    assert.deepEqual(rolloutOf(given({ canary: "12.5", manual: true }), manifest), {
      canary: { percent: 12.5, hashBy: { cookie: "session" } },
      window: "10m",
      promotion: "manual",
    });
    assert.deepEqual(rolloutOf(given({ staged: true, "minimum-streams": "7" }), manifest), {
      canary: { percent: 5, hashBy: { cookie: "session" } },
      window: "10m",
      minimumStreams: 7,
      stagedOnly: true,
    });
  });

  it("stands by itself where the manifest is not at hand", () => {
    assert.deepEqual(rolloutOf(given({ header: "x-beta=a=b", cookie: "beta", window: "30s" }), undefined), {
      canary: { header: { name: "x-beta", value: "a=b" }, cookie: { name: "beta" } },
      window: "30s",
    });
  });

  it("is over at once with --at-once, whatever the manifest says", () => {
    assert.deepEqual(rolloutOf(given({ "at-once": true }), manifest), {});
  });

  it("says what is wrong with an option", () => {
    const wrong: readonly [Readonly<Record<string, string | true>>, RegExp][] = [
      [{ canary: "101" }, /^--canary PERCENT is not as expected: a number from 0 to 100$/],
      [{ canary: "5%" }, /a number from 0 to 100/],
      [{ canary: "0" }, /^--canary 0 gives the new version nothing/],
      [{ "minimum-streams": "1.5" }, /a whole number from 1 to/],
      [{ header: "x beta=1" }, /^--header 'x beta=1': expected NAME or NAME=VALUE$/],
      [{ window: "10" }, /^--window '10': expected a duration with its unit/],
      [{ "at-once": true, canary: "5" }, /^--at-once leaves no place for a trial/],
    ];
    for (const [options, message] of wrong) {
      const isSo = (error: unknown): boolean =>
        error instanceof CommandError && error.exitCode === 2 && message.test(error.message);
      assert.throws(() => rolloutOf(given(options), undefined), isSo, message.source);
    }
  });
});
