/** State on Redis as users of the sidecar meet it: from the configuration file to the answers and the log. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { type ServiceError, status } from "@grpc/grpc-js";
import {
  type GetStateResponse,
  RuntimeService,
  type SaveStateRequest,
} from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { redisCli, startRedis } from "../support/redis-server.ts";
import { type ServiceClient, serviceClient } from "../support/service-client.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";

/** Lets nothing load the client of Redis, by import or by require. */
const hook = `
import { registerHooks } from "node:module";
registerHooks({
  load(url, context, next) {
    if (url.includes("/ioredis/")) throw new Error("ioredis was loaded");
    return next(url, context);
  },
});`;

type Client = ServiceClient<typeof RuntimeService>;

const save = (client: Client, key: string, text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const item = { key, value: Buffer.from(text), etag: undefined, metadata: {}, options: undefined };
    const request: SaveStateRequest = { storeName: "orders", states: [item] };
    client.saveState(request, (error) => (error === null ? resolve() : reject(error)));
  });

const get = (client: Client, key: string): Promise<GetStateResponse> =>
  new Promise((resolve, reject) => {
    const request = { storeName: "orders", key, consistency: 0, metadata: {} } as const;
    client.getState(request, (error, response) => (error === null ? resolve(response) : reject(error)));
  });

describe("state on Redis, through the sidecar", () => {
  it("lies under the application's name, and its failures name the component and no secret", async () => {
    await using server = await startRedis("--requirepass", "Tell-Nobody");
    await using directory = await temporaryDirectory();
    const settings = {
      type: "redis",
      keyPrefix: "appid",
      url: `redis://${server.address}`,
      password: "${REDIS_PASSWORD}",
    };
    await using sidecar = await startSidecar(
      directory.path,
      { app: { id: "shop" }, components: { state: { orders: settings } } },
      { REDIS_PASSWORD: "Tell-Nobody" },
    );
    const client = serviceClient(RuntimeService, sidecar.grpc);
    await save(client, "customer-1", "Ada");
    const { data, etag } = await get(client, "customer-1");
    assert.equal(data.toString(), "Ada");
    const stored = await redisCli(server, "-a", "Tell-Nobody", "--no-auth-warning", "HGETALL", "shop||customer-1");
    assert.deepEqual(stored.split("\n"), ["data", "Ada", "version", etag]);

    server.process.kill("SIGKILL");
    await once(server.process, "close");
    await sidecar.logged(({ msg }) => msg.includes("cannot be reached"));
    await assert.rejects(get(client, "customer-1"), (error: ServiceError) => {
      assert.equal(error.code, status.UNAVAILABLE);
      assert.match(error.details, /'orders' cannot be reached/);
      return true;
    });
    client.close();
    assert.doesNotMatch(JSON.stringify(sidecar.log), /Tell-Nobody/);
  });

  it("loads its client only when the configuration has it", async () => {
    await using directory = await temporaryDirectory();
    const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(hook)}`;
    const components = { state: { orders: { type: "memory" } } };
    await using sidecar = await startSidecar(directory.path, { components }, { NODE_OPTIONS });
    const client = serviceClient(RuntimeService, sidecar.grpc);
    await save(client, "k", "v");
    client.close();
    const redis = { state: { orders: { type: "redis" } } };
    await assert.rejects(startSidecar(directory.path, { components: redis }, { NODE_OPTIONS }), /ioredis was loaded/);
  });
});
