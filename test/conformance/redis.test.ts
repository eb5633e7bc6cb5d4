/** Backends on Redis. */
import { startRedis } from "../support/redis-server.ts";
import { withServer } from "./matrix.ts";

const startKeeping = () => startRedis("--appendonly", "yes", "--appendfsync", "always");

await withServer("redis-server", startKeeping, (server) => {
  const settings = () => ({ url: `redis://${server().address}` });
  return [{ kind: "state", type: "redis", settings }];
});
