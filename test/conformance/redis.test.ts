/** Every kind of component on Redis: one server, a cluster, and some of them on a server that a sentinel tells of. */
import { redisCli, startDurableRedis, startRedisCluster, startWatchedRedis } from "../support/redis-server.ts";
import { type Line, withServer } from "./matrix.ts";

const invocation = { operation: "create", metadata: { key: "probe" } };

const linesWith = (place: () => Record<string, unknown>, variant?: string): Line[] => {
  const settings = () => ({ ...place(), connectTimeoutMs: 1_000 });
  const lines: readonly Line[] = [
    { kind: "state", type: "redis", settings },
    { kind: "pubsub", type: "redis", settings: () => ({ ...settings(), claimIdleMs: 1_500 }) },
    { kind: "config", type: "redis", settings },
    { kind: "lock", type: "redis", settings },
    { kind: "sequencer", type: "redis", settings },
    { kind: "binding", type: "redis", settings, capabilities: ["output"], invocation },
  ];
  return lines.map((line) => (variant === undefined ? line : { ...line, variant }));
};

await withServer("redis-server", startDurableRedis, (server) => {
  const settings = () => ({ url: `redis://${server().address}` });
  const bringEvent = async (): Promise<void> => {
    await redisCli(server(), "XADD", "events", "*", "data", "an event");
  };
  return [
    ...linesWith(settings),
    {
      kind: "binding",
      type: "redis",
      variant: "input",
      settings: () => ({ ...settings(), stream: "events" }),
      invocation,
      bringEvent,
    },
  ];
});

await withServer("redis-server", startRedisCluster, (server) =>
  linesWith(() => ({ cluster: server().addresses }), "cluster").map((line) =>
    line.kind === "state" ? { ...line, capabilities: ["transactions", "ttl", "durable", "shared"] } : line,
  ),
);

await withServer(
  "redis-server",
  () => startWatchedRedis("main"),
  (server) =>
    linesWith(() => ({ sentinel: { master: "main", nodes: [server().sentinel.address] } }), "sentinel").filter(
      ({ kind }) => kind === "state" || kind === "pubsub",
    ),
);
