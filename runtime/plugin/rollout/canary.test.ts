import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ToyRequest } from "../../../test/support/toy-engine.ts";
import { openChooser } from "./canary.ts";
import { rolloutPolicy } from "./policy.ts";

function chooser(canary: Readonly<Record<string, unknown>>, salt = "sha256:2") {
  const policy = rolloutPolicy.parse({ canary });
  return openChooser(policy.canary ?? assert.fail("no canary"), salt);
}

const request = (headers: Readonly<Record<string, string>> = {}): ToyRequest => new ToyRequest(0, headers);
const users = Array.from({ length: 2_000 }, (_, index) => `user-${index}`);

describe("choosing the streams of a version on trial", () => {
  it("takes those with a header, with any value or with one", () => {
    const any = chooser({ header: { name: "X-Beta" } });
    assert.equal(any.picks(request({ "x-beta": "" })), true);
    assert.equal(any.picks(request()), false);
    const one = chooser({ header: { name: "x-beta", value: "yes" } });
    assert.deepEqual(
      ["yes", "no"].map((value) => one.picks(request({ "x-beta": value }))),
      [true, false],
    );
  });

  it("takes those with a cookie", () => {
    const one = chooser({ cookie: { name: "beta", value: "1" } });
    assert.equal(one.picks(request({ cookie: "session=abc; beta=1" })), true);
    assert.equal(one.picks(request({ cookie: "session=beta=1; alphabeta=1" })), false);
    assert.equal(one.picks(request({ cookie: "beta=2" })), false);
    assert.equal(chooser({ cookie: { name: "beta" } }).picks(request({ cookie: "a=b;beta=" })), true);
  });

  it("takes a share of the rest, none of them and all of them", () => {
    const share = (percent: number): number => {
      const some = chooser({ percent, header: { name: "x-beta" } });
      return users.filter(() => some.picks(request())).length / users.length;
    };
    assert.equal(share(0), 0);
    assert.equal(share(100), 1);
    assert.ok(Math.abs(share(50) - 0.5) < 0.1);
  });

  it("keeps a client on one version, and only moves clients to the new one when its share grows", () => {
    for (const [hashBy, headers] of [
      [{ header: "x-user" }, (user: string) => ({ "x-user": user })],
      [{ cookie: "user" }, (user: string) => ({ cookie: `user=${user}` })],
    ] as const) {
      const picked = (percent: number, salt?: string): string[] =>
        users.filter((user) => chooser({ percent, hashBy }, salt).picks(request(headers(user))));
      const few = picked(5);
      assert.ok(Math.abs(few.length / users.length - 0.05) < 0.03, `${few.length} of ${users.length}`);
      assert.deepEqual(picked(5), few);
      const more = new Set(picked(20));
      assert.ok(few.every((user) => more.has(user)));
      assert.notDeepEqual(picked(5, "sha256:3"), few, "other clients come first in another trial");
    }
  });

  it("keeps an address on one version, whatever its ports, for connections too", () => {
    const some = chooser({ percent: 50, hashBy: "source" });
    const from = (address: string) => Object.assign(request(), { property: () => address });
    for (let host = 0; host < 50; host++) {
      const first = some.picks(from(`10.0.0.${host}:1`));
      for (const port of [2, 30_000]) assert.equal(some.picks(from(`10.0.0.${host}:${port}`)), first);
      assert.equal(some.picksConnection({ property: () => `10.0.0.${host}:9` }), first);
    }
  });

  it("takes a share as small as one stream in ten thousand, and no smaller one", () => {
    const some = chooser({ percent: 0.01, hashBy: { header: "x-user" } });
    const picked = Array.from({ length: 100_000 }, (_, user) => some.picks(request({ "x-user": `user-${user}` })));
    assert.ok(picked.includes(true));
    assert.throws(() => rolloutPolicy.parse({ canary: { percent: 0.001 } }), /expected 0, or 0\.01 or more/);
    assert.throws(() => rolloutPolicy.parse({ canary: { percent: 0.009, header: { name: "x-beta" } } }), /0\.01/);
    assert.equal(rolloutPolicy.parse({ canary: { percent: 0, header: { name: "x-beta" } } }).canary?.percent, 0);
  });

  it("refuses a policy by which nothing goes to the new version", () => {
    assert.throws(() => rolloutPolicy.parse({ canary: {} }), /expected a percent above 0, a header or a cookie/);
  });
});
