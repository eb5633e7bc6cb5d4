import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { SecretStore } from "../../components/secret/secret-store.ts";
import { GetSecretRequest, GetSecretResponse } from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { callContext, openApiParts, openedStore } from "../../test/support/api.ts";
import { capabilities } from "../config/scalars.ts";
import { inProcessCaller } from "../grpc/in-process.ts";
import { createRuntimeService } from "./layotto/runtime-service.ts";
import { checkGrants } from "./method-grants.ts";
import { createSecrets } from "./secret.ts";
import { storeSet } from "./stores.ts";

const call = callContext();
const held = {
  "orders-token": { "orders-token": "abc" },
  "orders-login": { user: "shop", password: "p" },
  other: { other: "x" },
};

const store: SecretStore = {
  get: async ({ name }) => new Map<string, Record<string, string>>(Object.entries(held)).get(name),
  getAll: async () => held,
  [Symbol.asyncDispose]: async () => undefined,
};

const secretsWith = (allow?: readonly string[]) => {
  const opened = { ...openedStore("vault", store), ...(allow === undefined ? {} : { allow }) };
  return createSecrets(storeSet("secret", new Map([["vault", opened]])));
};
const named = (name: string) => ({ store: "vault", name });

describe("the secrets block", () => {
  it("gives what the store allows, by name and by the beginning of names", async () => {
    const secrets = secretsWith(["orders-*", "missing"]);
    assert.deepEqual(await secrets.get(named("orders-token"), call), held["orders-token"]);
    assert.deepEqual(await secrets.get(named("orders-login"), call), held["orders-login"]);
    const { other: _, ...allowed } = held;
    assert.deepEqual(await secrets.getAll({ store: "vault" }, call), allowed);
    assert.deepEqual(await secretsWith(["*"]).getAll({ store: "vault" }, call), held);
  });

  it("refuses everything else alike, whether there is such a secret or not, and says which line to add", async () => {
    const refused = (name: string) => ({
      code: "PERMISSION_DENIED",
      message: `applications may not read the secret '${name}' of secret store 'vault'; components.secret.vault.allow lets them: allow: ['${name}']`,
    });
    for (const allow of [undefined, [], ["orders", "other*x"]]) {
      for (const name of ["other", "orders-token", "unknown"]) {
        await assert.rejects(secretsWith(allow).get(named(name), call), refused(name));
      }
      assert.deepEqual(await secretsWith(allow).getAll({ store: "vault" }, call), {});
    }
  });

  it("tells a secret that does not exist, an empty name and an unknown store", async () => {
    const secrets = secretsWith(["*"]);
    await assert.rejects(secrets.get(named("none"), call), {
      code: "NOT_FOUND",
      message: "secret store 'vault' has no secret 'none'",
    });
    await assert.rejects(secrets.get(named(""), call), { code: "INVALID_ARGUMENT" });
    await assert.rejects(secrets.get({ store: "valt", name: "a" }, call), { code: "INVALID_ARGUMENT" });
  });

  it("needs the grant of a plugin, too", async () => {
    await using parts = await openApiParts();
    const methods = inProcessCaller([createRuntimeService(parts.blocks)]);
    const ask = async (key: string, granted: readonly string[]) => {
      const message = GetSecretRequest.encode({ storeName: "vault", key, metadata: {} }).finish();
      const grants = capabilities.parse({ secret: granted });
      const answer = await methods.call("/spec.proto.runtime.v1.Runtime/GetSecret", message, call, (method, request) =>
        checkGrants("shop", grants, method, request),
      );
      return GetSecretResponse.decode(answer).data;
    };
    assert.deepEqual(await ask("EXAMPLE_TOKEN", ["vault"]), { EXAMPLE_TOKEN: "an example" });
    await assert.rejects(ask("EXAMPLE_TOKEN", []), {
      code: "PERMISSION_DENIED",
      message: /plugins\.grants\.shop\.secret$/,
    });
    await assert.rejects(ask("PASSWORD", ["vault"]), {
      code: "PERMISSION_DENIED",
      message: /components\.secret\.vault\.allow/,
    });
  });
});
