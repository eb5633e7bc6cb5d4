/** Backends on NATS. */
import { connect } from "nats";
import { startNats } from "../support/nats-server.ts";
import { withServer } from "./matrix.ts";

const invocation = { operation: "create", metadata: {} };

await withServer("nats-server", startNats, (server) => {
  const settings = () => ({ servers: [server().address] });
  const bringEvent = async (): Promise<void> => {
    const client = await connect({ servers: server().address });
    client.publish("bindings.in", "an event");
    await client.drain();
  };
  const [subject, listen] = ["bindings.out", "bindings.*"];
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
    { kind: "binding", type: "nats", settings: () => ({ ...settings(), subject, listen }), invocation, bringEvent },
    {
      kind: "binding",
      type: "nats",
      variant: "output",
      settings: () => ({ ...settings(), subject }),
      capabilities: ["output"],
      invocation,
    },
    {
      kind: "binding",
      type: "nats",
      variant: "input",
      settings: () => ({ ...settings(), listen, queue: "workers" }),
      capabilities: ["input"],
      bringEvent,
    },
  ];
});
