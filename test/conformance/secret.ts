/** What every secret store does, whatever lies behind it. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ComponentLog } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import type { Secret, SecretStore } from "../../components/secret/secret-store.ts";
import { openContext } from "../support/open-context.ts";
import { type Backend, callWith } from "./backend.ts";

const shared: Readonly<Record<string, Secret>> = {
  conftestsecret: { conftestsecret: "abcd" },
  secondsecret: { secondsecret: "efgh" },
};

/** Texts that a file, a line or a shell would change if it could. */
const texts: readonly string[] = [
  "plain",
  "a=b=c",
  "  spaces around  ",
  "two\nlines",
  "tab\tand\\back\\slash",
  "quotes '\"`$HOME ${HOME} #",
  "ключ-🔑-鍵",
  "true",
  "007",
  "- a: {b}",
  "long".repeat(5000),
];

/** Registers the checks of a secret store. */
export function testSecretStore(backend: Backend<SecretStore>): void {
  const { check } = backend.checks;

  check("gives a secret by its name, its one value under the name of the secret", async () => {
    await using opened = await openWith(backend, shared);
    assert.deepEqual(await opened.store.get({ name: "conftestsecret" }, callWith()), { conftestsecret: "abcd" });
    assert.deepEqual(await opened.store.get({ name: "secondsecret" }, callWith()), { secondsecret: "efgh" });
  });

  check("gives all of its secrets at once", async () => {
    await using opened = await openWith(backend, shared);
    const all = await opened.store.getAll(callWith());
    for (const [name, secret] of Object.entries(shared)) assert.deepEqual(all[name], secret);
  });

  check("has no secret of any other name", async () => {
    await using opened = await openWith(backend, shared);
    for (const name of ["missing", "CONFTESTSECRET", "conftest", "__proto__", "constructor", "toString"]) {
      assert.equal(await opened.store.get({ name }, callWith()), undefined, name);
    }
  });

  check("leads to nothing outside of itself, whatever the name", async () => {
    await using opened = await openWith(backend, shared);
    for (const name of ["..", ".", "../..", "/etc/hostname", "../../../../../../etc/hostname", "nul\0inside", ""]) {
      const [outcome] = await Promise.allSettled([opened.store.get({ name }, callWith())]);
      if (outcome?.status === "fulfilled") assert.equal(outcome.value, undefined, name);
      else assert.ok(outcome?.reason instanceof RuntimeError && outcome.reason.code === "INVALID_ARGUMENT", name);
    }
  });

  check("keeps every text as it is", async () => {
    const secrets = Object.fromEntries(texts.map((text, index) => [`text${index}`, { [`text${index}`]: text }]));
    await using opened = await openWith(backend, secrets);
    for (const [name, secret] of Object.entries(secrets)) {
      assert.deepEqual(await opened.store.get({ name }, callWith()), secret);
    }
  });

  check("gives copies: changing one changes no other", async () => {
    await using opened = await openWith(backend, shared);
    const found = await opened.store.get({ name: "conftestsecret" }, callWith());
    assert.ok(found !== undefined);
    Object.assign(found, { conftestsecret: "changed" });
    assert.deepEqual(await opened.store.get({ name: "conftestsecret" }, callWith()), { conftestsecret: "abcd" });
  });

  check("serves many calls at once", async () => {
    await using opened = await openWith(backend, shared);
    const found = await Promise.all(
      Array.from({ length: 200 }, () => opened.store.get({ name: "secondsecret" }, callWith())),
    );
    for (const secret of found) assert.deepEqual(secret, { secondsecret: "efgh" });
  });

  check("does nothing for a call that was cancelled before it began", async () => {
    await using opened = await openWith(backend, shared);
    const reason = new Error("the caller has gone");
    const call = callWith(AbortSignal.abort(reason));
    await assert.rejects(async () => opened.store.get({ name: "conftestsecret" }, call), reason);
    await assert.rejects(async () => opened.store.getAll(call), reason);
  });

  check("writes nothing of a value to the log", async () => {
    await using opened = await openWith(backend, shared);
    await opened.store.getAll(callWith());
    await opened.store.get({ name: "conftestsecret" }, callWith());
    await opened.store.get({ name: "missing" }, callWith());
    assert.ok(!opened.logged.some((line) => line.includes("abcd") || line.includes("efgh")));
  });
}

interface OpenedSecrets extends AsyncDisposable {
  readonly store: SecretStore;
  readonly logged: readonly string[];
}

/** A store that holds the secrets, and perhaps others that were there before. */
async function openWith(
  { definition, prepare }: Backend<SecretStore>,
  secrets: Readonly<Record<string, Secret>>,
): Promise<OpenedSecrets> {
  assert.ok(prepare !== undefined, "the line of a secret store says how secrets are put there: `prepare`");
  const parts = new AsyncDisposableStack();
  const dataDirectory = await mkdtemp(join(tmpdir(), "outrigger-conformance-"));
  parts.defer(() => rm(dataDirectory, { recursive: true, force: true }));
  const logged: string[] = [];
  const note = (fields: object, message: string): void => {
    logged.push(`${message} ${JSON.stringify(fields)}`);
  };
  const log: ComponentLog = { debug: note, info: note, warn: note, error: note };
  const config = definition.config.parse(await prepare(secrets, dataDirectory));
  const store = parts.use(await definition.open(config, openContext("conformance", { dataDirectory, log })));
  return { store, logged, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}
