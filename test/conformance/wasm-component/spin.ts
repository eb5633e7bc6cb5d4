/** What components that were written for Spin find in the stores of the sidecar. */
import assert from "node:assert/strict";
import { unique } from "../backend.ts";
import { GuestError, type StandardScene } from "./standard-scene.ts";

type Check = (name: string, body: () => Promise<void>) => void;

/** `store` is the first state store that the guest was granted; it can list its keys. */
export function spinStoreChecks(check: Check, scene: () => StandardScene, store: string): void {
  const ask = (name: string, ...parameters: readonly unknown[]) => scene().call(`spin.${name}`, ...parameters);

  check("values are set, read, found and deleted, and are those of wasi:keyvalue", async () => {
    const key = unique("key");
    assert.equal(await ask("get", store, key), null);
    assert.equal(await ask("exists", store, key), false);
    await ask("set", store, key, "a\0byte and \xff");
    assert.equal(await ask("get", "default", key), "a\0byte and \xff");
    assert.equal(await scene().call("draft2.get", store, key), "a\0byte and \xff");
    assert.equal(await ask("exists", store, key), true);
    await ask("delete", store, key);
    await ask("delete", store, key);
    assert.equal(await ask("get", store, key), null);
  });

  check("all keys are in one list", async () => {
    const beginning = unique("list");
    const keys = Array.from({ length: 130 }, (_, index) => `${beginning}-${index}`);
    await scene().call(
      "draft.setMany",
      store,
      keys.map((key) => [key, "x"]),
    );
    const listed = (await ask("keys", store)) as string[];
    assert.deepEqual(listed.filter((key) => key.startsWith(beginning)).sort(), keys.sort());
    await scene().call("draft.deleteMany", store, keys);
  });

  check("a store that was not granted is denied", () => throwsError({ tag: "access-denied" }, ask("open", "secret")));
}

/** `store` is the first configuration store that the guest was granted. */
export function spinVariableChecks(check: Check, scene: () => StandardScene, store: string): void {
  const variable = (name: string) => scene().call("spin.variable", name);

  check("a variable is what the plugin's own configuration says, or else a granted store", async () => {
    const key = unique("variable");
    await scene().client.config.save({ store, items: [{ key, content: "of the store" }] });
    assert.equal(await variable("greeting"), "hello");
    assert.equal(await variable(key), "of the store");
  });

  check("a variable that nobody set is undefined, with a sentence", async () => {
    const val =
      "variable 'colour' is not in the plugin's configuration, nor in a configuration store that it was granted";
    await throwsError({ tag: "undefined", val }, variable("colour"));
  });
}

async function throwsError(payload: unknown, call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.ok(error instanceof GuestError, String(error));
    assert.deepEqual(error.payload, payload);
    return true;
  });
}
