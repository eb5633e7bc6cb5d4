/** Every kind of component on Redis: one server, a cluster, and a primary that sentinels know. */
import { startDurableRedis, startRedisCluster } from "../support/redis-server.ts";
import { withServer } from "./matrix.ts";

await withServer("redis-server", startDurableRedis, (server) => {
  const settings = () => ({ url: `redis://${server().address}` });
  return [
    { kind: "state", type: "redis", settings },
    { kind: "lock", type: "redis", settings },
    { kind: "sequencer", type: "redis", settings },
  ];
});

await withServer("redis-server", startRedisCluster, (server) => {
  const settings = () => ({ cluster: server().addresses });
  return [
    { kind: "state", type: "redis", variant: "cluster", settings },
    { kind: "lock", type: "redis", variant: "cluster", settings },
    { kind: "sequencer", type: "redis", variant: "cluster", settings },
  ];
});
