/** What components find in a state store through wasi:keyvalue, in both drafts. */
import assert from "node:assert/strict";
import { unique } from "../backend.ts";
import { GuestError, type StandardScene } from "./standard-scene.ts";

type Scene = () => StandardScene;
type Check = (name: string, body: () => Promise<void>) => void;

/** `store` is the first state store that the guest was granted; it can list its keys when `lists`. */
export function keyvalueChecks(check: Check, scene: Scene, store: string, lists: boolean): void {
  const ask = (name: string, ...parameters: readonly unknown[]) => scene().call(name, ...parameters);
  const throwsError = (payload: unknown, name: string, ...parameters: readonly unknown[]) =>
    assert.rejects(ask(name, ...parameters), (error: unknown) => {
      assert.ok(error instanceof GuestError, String(error));
      assert.deepEqual(error.payload, payload);
      return true;
    });

  for (const draft of ["draft", "draft2"] as const) {
    check(`${draft}: values are set, read, found and deleted`, async () => {
      const key = unique("key");
      assert.equal(await ask(`${draft}.get`, store, key), null);
      assert.equal(await ask(`${draft}.exists`, store, key), false);
      await ask(`${draft}.set`, store, key, "first");
      await ask(`${draft}.set`, store, key, "a\0byte and \xff");
      assert.equal(await ask(`${draft}.get`, store, key), "a\0byte and \xff");
      assert.equal(await ask(`${draft}.exists`, store, key), true);
      await ask(`${draft}.delete`, store, key);
      await ask(`${draft}.delete`, store, key);
      assert.equal(await ask(`${draft}.get`, store, key), null);
    });

    check(`${draft}: an empty value is not the same as none`, async () => {
      const key = unique("key");
      await ask(`${draft}.set`, store, key, "");
      assert.equal(await ask(`${draft}.get`, store, key), "");
      assert.equal(await ask(`${draft}.exists`, store, key), true);
    });

    check(`${draft}: the store without a name is the first that was granted`, async () => {
      const key = unique("key");
      await ask(`${draft}.set`, "", key, "found");
      assert.equal(await ask(`${draft}.get`, "default", key), "found");
      assert.equal(await ask(`${draft}.get`, store, key), "found");
      assert.equal(await ask(`${draft}.get`, "kept", key), null);
    });

    check(`${draft}: a store that was not granted is denied, whether there is one or not`, async () => {
      await throwsError({ tag: "access-denied" }, `${draft}.open`, "secret");
      await throwsError({ tag: "access-denied" }, `${draft}.open`, "no-such-store");
    });

    check(`${draft}: a key that the runtime refuses is told in a sentence`, async () => {
      const val = "the key is empty; give one";
      await throwsError({ tag: "other", val }, `${draft}.set`, store, "", "x");
    });

    check(`${draft}: many keys at once`, async () => {
      const [one, other, none] = [unique("one"), unique("other"), unique("none")];
      await ask(`${draft}.setMany`, store, [
        [one, "1"],
        [other, "2"],
      ]);
      const missing = draft === "draft" ? null : [none, null];
      assert.deepEqual(await ask(`${draft}.getMany`, store, [one, none, other]), [[one, "1"], missing, [other, "2"]]);
      await ask(`${draft}.deleteMany`, store, [one, none]);
      assert.deepEqual(await ask(`${draft}.getMany`, store, [other]), [[other, "2"]]);
      assert.equal(await ask(`${draft}.exists`, store, one), false);
    });

    check(`${draft}: what many add at once all counts`, async () => {
      const key = unique("count");
      const sums = await Promise.all(
        Array.from({ length: 12 }, (_, index) => ask(`${draft}.increment`, store, key, index + 1)),
      );
      assert.equal(new Set(sums).size, 12);
      assert.equal(await ask(`${draft}.get`, store, key), "78");
    });

    check(`${draft}: nothing is added to what is no number`, async () => {
      const key = unique("text");
      await ask(`${draft}.set`, store, key, "seven");
      await assert.rejects(ask(`${draft}.increment`, store, key, 1), /no whole number/);
      assert.equal(await ask(`${draft}.get`, store, key), "seven");
    });

    if (lists) {
      check(`${draft}: all keys are listed, a page at a time`, async () => {
        const beginning = unique("list");
        const keys = Array.from({ length: 130 }, (_, index) => `${beginning}-${index}`);
        await ask(
          `${draft}.setMany`,
          store,
          keys.map((key) => [key, "x"]),
        );
        const listed = (await ask(`${draft}.keys`, store)) as { keys: string[]; pages: number };
        assert.deepEqual(listed.keys.filter((key) => key.startsWith(beginning)).sort(), keys.sort());
        assert.ok(listed.pages > 1, "one page is not all");
        await ask(`${draft}.deleteMany`, store, keys);
      });
    } else {
      check(`${draft}: a store that cannot list its keys says so`, () =>
        assert.rejects(ask(`${draft}.keys`, store), /has no listing of keys/),
      );
    }
  }

  check("draft: a cursor that nobody was given is refused", () =>
    assert.rejects(ask("draft.keysFrom", store, "17"), /cursor 17 is not one/),
  );

  check("draft: a sum below 0 is no u64, and is told", async () => {
    const key = unique("count");
    assert.equal(await ask("draft2.increment", store, key, -5), "-5");
    await assert.rejects(ask("draft.increment", store, key, 1), /is -4 after the addition/);
  });

  check("draft2: a number is counted down, too", async () => {
    const key = unique("count");
    assert.equal(await ask("draft2.increment", store, key, 2), "2");
    assert.equal(await ask("draft2.increment", store, key, -5), "-3");
  });

  check("draft2: a swap writes what nobody wrote meanwhile, also where nothing was", async () => {
    const key = unique("swap");
    assert.equal(await ask("draft2.current", store, key), null);
    await ask("draft2.swap", store, key, "first");
    await ask("draft2.swap", store, key, "second");
    assert.equal(await ask("draft2.current", store, key), "second");
  });

  check("draft2: a swap that lost gives a handle on what is there, with which it can win", async () => {
    const key = unique("swap");
    assert.deepEqual(await ask("draft2.swapTwice", store, key, "theirs", "mine"), { seen: "theirs" });
    assert.equal(await ask("draft2.get", store, key), "mine");
    assert.deepEqual(await ask("draft2.swapTwice", store, key, null, "again"), { seen: null });
    assert.equal(await ask("draft2.get", store, key), "again");
  });

  check("what a component writes is what an application reads, and the other way round", async () => {
    const { client } = scene();
    const key = unique("shared");
    await ask("draft2.set", store, key, "from the component");
    assert.equal((await client.state.get({ store, key }))?.value.text(), "from the component");
    await client.state.save({ store, key, value: "from the application" });
    assert.equal(await ask("draft.get", store, key), "from the application");
  });
}
