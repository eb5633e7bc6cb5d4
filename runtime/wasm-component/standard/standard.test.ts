import assert from "node:assert/strict";
import { test } from "node:test";
import { type ApiParts, openApiParts, silentLog } from "../../../test/support/api.ts";
import { guestApi } from "../../api/guest-api.ts";
import { capabilities } from "../../config/scalars.ts";
import { CallsInFlight } from "../../grpc/calls-in-flight.ts";
import type { HttpApi } from "../../plugin/uniform-api.ts";
import type { GuestHost, ImportedInterface } from "../provider.ts";
import { standardImports } from "./index.ts";

type Functions = Readonly<Record<string, (...given: readonly unknown[]) => unknown>>;

const noHttp: HttpApi = { has: () => false, request: () => assert.fail("no upstream is called here") };

/** The functions of an interface, for a plugin that was granted so much. */
function functionsOf(parts: ApiParts, name: string, granted: object, configuration = ""): Functions {
  const [imported = "", version = ""] = name.split("@");
  const found = standardImports.find((one) => one.name === imported && one.versions.includes(version));
  const grants = capabilities.parse(granted);
  const plugin = { plugin: "shop", version: "1.0.0", grants, appId: "app", log: silentLog, calls: new CallsInFlight() };
  // What these interfaces have of the host of an instance.
  const host = {
    program: { name: "shop", configuration: Buffer.from(configuration) },
    services: { api: guestApi(plugin, parts.blocks, noHttp) },
    signal: new AbortController().signal,
    pay: () => undefined,
    atEnd: () => undefined,
  };
  return (found as ImportedInterface).make(host as unknown as GuestHost) as Functions;
}

/** What a call throws, or the promise that it gives rejects with. */
async function thrownBy(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return assert.fail("it succeeded");
}

for (const version of ["0.2.0-draft", "0.2.0-draft2"]) {
  test(`a component without a state store opens none (wasi:keyvalue@${version})`, async () => {
    await using parts = await openApiParts();
    const { open } = functionsOf(parts, `wasi:keyvalue/store@${version}`, {});
    for (const [identifier, tag] of [
      ["", "no-such-store"],
      ["default", "no-such-store"],
      ["inventory", "access-denied"],
      ["no-such-store", "access-denied"],
    ]) {
      assert.deepEqual(await thrownBy(() => open?.(identifier)), { tag });
    }
  });

  test(`a store that the configuration lost is no such store (wasi:keyvalue@${version})`, async () => {
    await using parts = await openApiParts();
    const { open } = functionsOf(parts, `wasi:keyvalue/store@${version}`, { state: ["gone"] });
    const bucket = open?.("gone") as { get(key: string): Promise<unknown> };
    assert.deepEqual(await thrownBy(() => bucket.get("k")), { tag: "no-such-store" });
  });
}

test("a store of configuration that fails is the error upstream, with a sentence", async () => {
  await using parts = await openApiParts();
  const granted = { config: ["gone"] };
  const { get, getAll } = functionsOf(parts, "wasi:config/store@0.2.0-rc.1", granted, '{"colour":"green"}');
  const val = "configuration store 'gone' is not configured; configured: settings";
  assert.equal(await get?.("colour"), "green");
  assert.deepEqual(await thrownBy(() => get?.("other")), { tag: "upstream", val });
  assert.deepEqual(await thrownBy(() => getAll?.()), { tag: "upstream", val });
});

test("a store of configuration that fails is the error provider of a variable of Spin", async () => {
  await using parts = await openApiParts();
  const { get } = functionsOf(parts, "fermyon:spin/variables@2.0.0", { config: ["gone"] }, '{"colour":"green"}');
  const val = "configuration store 'gone' is not configured; configured: settings";
  assert.equal(await get?.("colour"), "green");
  assert.deepEqual(await thrownBy(() => get?.("other")), { tag: "provider", val });
});

test("a configuration that is no object has no keys", async () => {
  await using parts = await openApiParts();
  for (const configuration of ["", "just text", "[1]", "null", "7"]) {
    const { get, getAll } = functionsOf(parts, "wasi:config/store@0.2.0-draft", {}, configuration);
    assert.equal(await get?.("0"), undefined);
    assert.deepEqual(await getAll?.(), []);
  }
});

test("a component without a pub/sub component publishes nothing, and is told how to be granted one", async () => {
  await using parts = await openApiParts();
  const { publish } = functionsOf(parts, "wasmcloud:messaging/consumer@0.2.0", {});
  const message = { subject: "events/orders", body: Buffer.from("x"), replyTo: undefined };
  assert.match(String(await thrownBy(() => publish?.(message))), /plugins\.grants\.shop\.pubsub$/);
});

test("a component without a file store has no containers, and is told how to be granted one", async () => {
  await using parts = await openApiParts();
  const { createContainer, getContainer, containerExists, deleteContainer } = functionsOf(
    parts,
    "wasi:blobstore/blobstore@0.2.0-draft",
    {},
  );
  for (const call of [createContainer, getContainer, containerExists, deleteContainer]) {
    assert.match(String(await thrownBy(() => call?.("files"))), /plugins\.grants\.shop\.object$/);
  }
});
