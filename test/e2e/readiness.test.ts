/** A sidecar whose server is away says so, serves what it can, and goes on by itself when the server is back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, OutriggerClient, type OutriggerError } from "../../sdk/index.ts";
import { eventually } from "../conformance/backend.ts";
import { ask } from "../support/http.ts";
import { startRedis } from "../support/redis-server.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";

interface Readiness {
  readonly httpStatus: number;
  readonly status: string;
  readonly components: Readonly<Record<string, { readonly status: string; readonly details?: { reason: string } }>>;
}

async function readinessOf({ admin }: Sidecar): Promise<Readiness> {
  const { status, text } = await ask(admin, "/actuator/health/readiness");
  return { ...JSON.parse(text), httpStatus: status };
}

const orders = { store: "orders", key: "one" };

for (const [when, isAwayAtStart] of [
  ["at the start", true],
  ["later", false],
] as const) {
  test(`readiness names the component whose server is away ${when}, until it is back`, async () => {
    await using redis = await startRedis();
    await using directory = await temporaryDirectory();
    if (isAwayAtStart) await redis.kill();
    const state = {
      orders: { type: "redis", url: `redis://${redis.address}`, connectTimeoutMs: 500 },
      own: { type: "memory" },
    };
    await using sidecar = await startSidecar(directory.path, { components: { state } });
    await using client = new OutriggerClient({ address: sidecar.grpc });
    if (!isAwayAtStart) {
      assert.equal((await readinessOf(sidecar)).httpStatus, 200);
      await redis.kill();
    }
    await eventually("readiness is down", async () => (await readinessOf(sidecar)).httpStatus === 503);
    const { status, components } = await readinessOf(sidecar);
    assert.equal(status, "DOWN");
    assert.equal(components["state/orders"]?.status, "DOWN");
    assert.match(components["state/orders"]?.details?.reason ?? "", /ECONNREFUSED|closed/);
    assert.equal(components["state/own"], undefined);
    await assert.rejects(client.state.get(orders), (error: OutriggerError) => error.code === "UNAVAILABLE");
    await client.state.save({ store: "own", key: "one", value: bytes(Buffer.from("x")) });

    await redis.start();
    await eventually("readiness is up", async () => (await readinessOf(sidecar)).httpStatus === 200);
    assert.equal(await client.state.get(orders), undefined);
  });
}
