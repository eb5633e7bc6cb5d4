/** Components that are given other settings over gRPC. */
import assert from "node:assert/strict";
import { homedir } from "node:os";
import { test } from "node:test";
import { credentials, Metadata, makeGenericClientConstructor, type ServiceError, status } from "@grpc/grpc-js";
import { LifecycleService } from "../../proto/gen/spec/proto/runtime/v1/lifecycle.ts";
import { json, OutriggerClient } from "../../sdk/index.ts";
import { startRedis } from "../support/redis-server.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const Lifecycle = makeGenericClientConstructor(LifecycleService, "Lifecycle");

test("Lifecycle.ApplyConfiguration gives a component other settings, for who has a token", async () => {
  await using directory = await temporaryDirectory();
  await using one = await startRedis();
  await using two = await startRedis();
  const orders = { type: "redis", url: `redis://${one.address}` };
  const components = { state: { orders, cache: { type: "memory" } } };
  await using sidecar = await startSidecar(directory.path, { admin: { token: "t0ken" }, components });
  await using client = new OutriggerClient({ address: sidecar.grpc });
  const lifecycle = new Lifecycle(sidecar.grpc, credentials.createInsecure());
  const apply = (kind: string, name: string, metadata: Record<string, string>, token = "t0ken") =>
    new Promise<ServiceError | undefined>((resolve) => {
      const headers = new Metadata();
      headers.set("authorization", `Bearer ${token}`);
      const { path, requestSerialize, responseDeserialize } = LifecycleService.applyConfiguration;
      const request = { componentConfig: { kind, name, metadata } };
      lifecycle.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, headers, (error) =>
        resolve(error ?? undefined),
      );
    });
  await client.state.save({ store: "orders", key: "a", value: json(1) });

  const answers = [
    await apply("state", "orders", { url: `redis://${two.address}` }, "wrong"),
    await apply("stat", "orders", {}),
    await apply("state", "nobody", {}),
    await apply("state", "orders", { urll: "redis://x" }),
    await apply("state", "orders", { keyPrefix: "${HOME}" }),
    await apply("state", "orders", { password: "wrong", username: "nobody" }),
    await apply("state", "cache", { maxBytes: "${HOME}" }),
    await apply("state", "cache", { maxBytes: "&a [1, *a]" }),
    await apply("state", "cache", { "": "1" }),
    await apply("state", "orders", { "url.deeper": "1" }),
    await apply("state", "cache", { type: "sqlite" }),
    await apply("state", "cache", { path: "/etc" }),
    await apply("state", "orders", { "tls.ca": "/etc/passwd" }),
  ];
  assert.deepEqual(
    answers.map((error) => error?.code),
    [
      status.UNAUTHENTICATED,
      status.INVALID_ARGUMENT,
      status.INVALID_ARGUMENT,
      status.INVALID_ARGUMENT,
      undefined,
      status.FAILED_PRECONDITION,
      ...Array.from({ length: 4 }, () => status.INVALID_ARGUMENT),
      ...Array.from({ length: 3 }, () => status.PERMISSION_DENIED),
    ],
  );
  assert.doesNotMatch(answers[6]?.details ?? "", new RegExp(homedir()));
  assert.match(answers[3]?.details ?? "", /components\.state\.orders\.urll: unknown key; did you mean 'url'/);
  assert.equal(await apply("state", "orders", { keyPrefix: "none" }), undefined);

  assert.equal(await apply("state", "orders", { url: `redis://${two.address}`, connectTimeoutMs: "900" }), undefined);
  assert.equal(await client.state.get({ store: "orders", key: "a" }), undefined);
  assert.equal(await apply("state", "orders", { url: `redis://${one.address}` }), undefined);
  assert.notEqual(await client.state.get({ store: "orders", key: "a" }), undefined);
  lifecycle.close();
});
