import assert from "node:assert/strict";
import { test } from "node:test";
import { RuntimeService } from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { capabilities } from "../config/scalars.ts";
import { checkGrants, requiredGrants } from "./method-grants.ts";

const method = (name: string): string => `/spec.proto.runtime.v1.Runtime/${name}`;

test("every method of the service has its row, and only streams are closed to plugins", () => {
  for (const { path, requestStream, responseStream } of Object.values(RuntimeService)) {
    assert.equal(requiredGrants(path, {}) === undefined, requestStream || responseStream, path);
  }
});

test("a call needs the store that its request names", () => {
  assert.deepEqual(requiredGrants(method("GetState"), { storeName: "orders" }), [{ kind: "state", names: ["orders"] }]);
  assert.deepEqual(requiredGrants(method("PublishEvent"), { pubsubName: "events" }), [
    { kind: "pubsub", names: ["events"] },
  ]);
  assert.deepEqual(requiredGrants(method("InvokeService"), { id: "billing" }), [
    { kind: "invoke", names: ["billing"] },
  ]);
  assert.deepEqual(requiredGrants(method("InvokeBinding"), { name: "mail" }), [{ kind: "binding", names: ["mail"] }]);
  assert.deepEqual(requiredGrants(method("ListFile"), { request: { storeName: "f" } }), [
    { kind: "object", names: ["f"] },
  ]);
  assert.deepEqual(requiredGrants(method("SayHello"), {}), []);
});

test("what was granted is let through, anything else is refused by plugin, kind and name", () => {
  const grants = capabilities.parse({ state: ["orders"] });
  checkGrants("shop", grants, method("SaveState"), { storeName: "orders" });
  checkGrants("shop", grants, method("SayHello"), {});
  assert.throws(() => checkGrants("shop", grants, method("SaveState"), { storeName: "secrets" }), {
    code: "PERMISSION_DENIED",
    message: /plugin 'shop' was not granted the state store 'secrets'/,
    details: { plugin: "shop", kind: "state", name: "secrets" },
  });
  for (const request of [{}, undefined, { storeName: 7 }]) {
    assert.throws(() => checkGrants("shop", grants, method("SaveState"), request), { code: "PERMISSION_DENIED" });
  }
});

test("methods without a row are denied, Lifecycle among them", () => {
  const grants = capabilities.parse({});
  for (const denied of [
    "/spec.proto.runtime.v1.Lifecycle/ApplyConfiguration",
    "/grpc.health.v1.Health/Check",
    "toString",
  ]) {
    assert.equal(requiredGrants(denied, {}), undefined);
    assert.throws(() => checkGrants("shop", grants, denied, {}), { code: "PERMISSION_DENIED", message: /not open/ });
  }
});
