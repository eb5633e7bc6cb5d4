import assert from "node:assert/strict";
import { test } from "node:test";
import { callWith } from "../../test/conformance/backend.ts";
import { openContext } from "../../test/support/open-context.ts";
import { environmentWith } from "../../test/support/secret-places.ts";
import { envSecretStore } from "./env.ts";

test("a prefix stands before the names of variables, and not before those of secrets", async () => {
  const { prefix } = environmentWith({ TOKEN: { TOKEN: "abc" } });
  await using store = await envSecretStore.open({ prefix }, openContext("vault"));
  assert.deepEqual(await store.getAll(callWith()), { TOKEN: { TOKEN: "abc" } });
  assert.equal(await store.get({ name: "PATH" }, callWith()), undefined);
  assert.equal(await store.get({ name: `${prefix}TOKEN` }, callWith()), undefined);
});

test("without a prefix every variable is a secret, and what no variable can be called is none", async () => {
  const { prefix } = environmentWith({ TOKEN: { TOKEN: "abc" } });
  await using store = await envSecretStore.open(envSecretStore.config.parse({}), openContext("vault"));
  assert.deepEqual(await store.get({ name: `${prefix}TOKEN` }, callWith()), { [`${prefix}TOKEN`]: "abc" });
  for (const name of ["", `${prefix}TOKEN\0`, `${prefix}TOKEN=`, "toString"]) {
    assert.equal(await store.get({ name }, callWith()), undefined, name);
  }
});
