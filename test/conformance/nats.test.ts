/** Backends on NATS. */
import { startNats } from "../support/nats-server.ts";
import { withServer } from "./matrix.ts";

await withServer("nats-server", startNats, (server) => {
  const settings = () => ({ servers: [server().address] });
  return [
    { kind: "state", type: "nats", settings },
    { kind: "pubsub", type: "nats", settings: () => ({ ...settings(), ackWaitMs: 2_000 }) },
    {
      kind: "pubsub",
      type: "nats",
      variant: "core",
      settings: () => ({ ...settings(), durable: false }),
      capabilities: ["ordered", "redelivery", "shared"],
    },
    { kind: "config", type: "nats", settings },
    { kind: "lock", type: "nats", settings },
  ];
});
