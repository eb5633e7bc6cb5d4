import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { z } from "zod";
import { catalog } from "../components/catalog.ts";
import { secretSetting } from "../components/clients/secret-setting.ts";
import type { SecretSetting } from "../components/component.ts";
import { RuntimeError } from "../components/error.ts";
import { envSecretStore } from "../components/secret/env.ts";
import type { SecretStore } from "../components/secret/secret-store.ts";
import { memoryStateStore } from "../components/state/memory.ts";
import { callContext, openedStore, silentLog } from "../test/support/api.ts";
import { openContext } from "../test/support/open-context.ts";
import { environmentWith } from "../test/support/secret-places.ts";
import { temporaryDirectory } from "../test/support/sidecar.ts";
import { createSecrets } from "./api/secret.ts";
import { type OpenedStore, storeSet } from "./api/stores.ts";
import { parseConfiguration } from "./config/load.ts";
import { openComponents } from "./open-components.ts";
import { secretResolver } from "./secret-settings.ts";
import { Metrics } from "./telemetry/metrics.ts";

const telemetry = { log: silentLog, metrics: new Metrics() };

/** The catalog with a state store that has a password, and what passwords it was opened with. */
function withPasswords() {
  const passwords: string[] = [];
  const state = {
    locked: async () => ({
      ...memoryStateStore,
      type: "locked",
      config: z.strictObject({ password: secretSetting }),
      open: async ({ password }: { password: SecretSetting }, context: ReturnType<typeof openContext>) => {
        passwords.push(await context.secret(password));
        return memoryStateStore.open(memoryStateStore.config.parse({}), context);
      },
    }),
  };
  return { passwords, known: { ...catalog, state: { ...catalog.state, ...state } } };
}

const reference = (name: string, key?: string) => ({
  secretKeyRef: { store: "vault", name, ...(key === undefined ? {} : { key }) },
});

test("components are opened with secrets that applications may not read, without a line break at their end", async () => {
  await using directory = await temporaryDirectory();
  const { passwords, known } = withPasswords();
  await writeFile(join(directory.path, "secrets.yaml"), "redis: |\n  one\nsql: { password: two }\n");
  const text = JSON.stringify({
    data: { directory: "." },
    components: {
      secret: { vault: { type: "file", path: "secrets.yaml", multiValued: true } },
      state: {
        a: { type: "locked", password: reference("redis") },
        b: { type: "locked", password: reference("sql", "password") },
        c: { type: "locked", password: "three" },
      },
    },
  });
  const options = { known, environment: {} };
  const loaded = await parseConfiguration(text, join(directory.path, "outrigger.yaml"), options);
  await using components = await openComponents(loaded, known, telemetry);
  assert.deepEqual(passwords.sort(), ["one", "three", "two"]);
  const secrets = createSecrets(components.storesOf("secret"));
  await assert.rejects(secrets.get({ store: "vault", name: "redis" }, callContext()), { code: "PERMISSION_DENIED" });
});

test("a secret that is not there ends the start with a sentence that names it", async () => {
  await using directory = await temporaryDirectory();
  const { known } = withPasswords();
  const { prefix } = environmentWith({ TOKEN: { TOKEN: "hunter2" } });
  const started = async (password: SecretSetting) => {
    const components = { secret: { vault: { type: "env", prefix } }, state: { a: { type: "locked", password } } };
    const text = JSON.stringify({ components });
    const file = join(directory.path, "outrigger.yaml");
    const loaded = await parseConfiguration(text, file, { known, environment: {} });
    await using _ = await openComponents(loaded, known, telemetry);
  };
  await started(reference("TOKEN"));
  const sentence = "the state component 'a' cannot be opened: secret store 'vault' has no secret";
  await assert.rejects(started(reference("OTHER")), { message: `${sentence} 'OTHER' with the key 'OTHER'` });
  await assert.rejects(started(reference("TOKEN", "password")), {
    message: `${sentence} 'TOKEN' with the key 'password'`,
  });
});

test("a component waits for a secret store that is not open yet", async () => {
  const stores = new Map<string, OpenedStore<SecretStore>>();
  let whyAbsent: string | undefined = "connection refused";
  const set = storeSet("secret", stores, () => whyAbsent);
  const resolve = secretResolver(set, { kind: "state", name: "orders", log: silentLog });
  await assert.rejects(resolve(reference("token")), (error) => {
    assert.ok(error instanceof RuntimeError);
    assert.equal(error.code, "UNAVAILABLE", "so that it is tried again");
    return true;
  });
  await using opened = await envSecretStore.open(environmentWith({ token: { token: "abc" } }), openContext("vault"));
  stores.set("vault", openedStore("vault", opened));
  whyAbsent = undefined;
  assert.equal(await resolve(reference("token")), "abc");
  assert.equal(await resolve("plain"), "plain");
});
