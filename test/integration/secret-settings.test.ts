/** A sidecar whose Redis asks for a password that lies in a secret store. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { OutriggerClient } from "../../sdk/index.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { mountWith, swapVersion } from "../support/secret-places.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const password = "hunter2-of-redis";

describe("a password in a secret store", async () => {
  let redis: RedisServer | undefined;
  after(() => redis?.[Symbol.asyncDispose]());
  const componentsWith = async (path: string) => {
    redis ??= await startRedis("--requirepass", password);
    const secretKeyRef = { store: "vault", name: "redis", key: "password" };
    return {
      components: {
        secret: { vault: { type: "directory", path, allow: ["public"] } },
        state: { orders: { type: "redis", url: `redis://${redis.address}`, password: { secretKeyRef } } },
      },
    };
  };

  it("opens Redis, and is given to no application and no log", async () => {
    await using directory = await temporaryDirectory();
    const secrets = { redis: { user: "default", password }, public: { public: "for all" } };
    const { path } = await mountWith(secrets, directory.path);
    await using sidecar = await startSidecar(directory.path, {
      log: { level: "trace" },
      ...(await componentsWith(path)),
    });
    await using client = new OutriggerClient({ address: sidecar.grpc });
    await client.state.save({ store: "orders", key: "a", value: "text" });
    assert.equal((await client.state.get({ store: "orders", key: "a" }))?.value.text(), "text");
    await assert.rejects(client.secret.get({ store: "vault", name: "redis" }), {
      code: "PERMISSION_DENIED",
      reason: "SECRET_NOT_ALLOWED",
    });
    await swapVersion(path, { ...secrets, public: { public: "for everybody" } });
    assert.deepEqual(await client.secret.getAll({ store: "vault" }), { public: { public: "for everybody" } });
    await redis?.kill();
    await assert.rejects(client.state.get({ store: "orders", key: "a" }));
    await sidecar.stop();
    await redis?.start();
    assert.ok(!JSON.stringify(sidecar.log).includes(password));
  });

  it("that is wrong ends the start with a sentence that does not tell it", async () => {
    await using directory = await temporaryDirectory();
    const wrong = "hunter3";
    const { path } = await mountWith({ redis: { password: wrong } }, directory.path);
    const components = await componentsWith(path);
    await assert.rejects(startSidecar(directory.path, components), (error) => {
      assert.ok(error instanceof Error);
      assert.match(error.message, /the state component 'orders' cannot be opened: /);
      assert.ok(!error.message.includes(wrong) && !error.message.includes(password), error.message);
      return true;
    });
  });
});
