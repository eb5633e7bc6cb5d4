/** Backends on NATS. */
import { startNats } from "../support/nats-server.ts";
import { withServer } from "./matrix.ts";

await withServer("nats-server", startNats, (server) => {
  const settings = () => ({ servers: [server().address] });
  return [
    { kind: "state", type: "nats", settings },
    { kind: "lock", type: "nats", settings },
  ];
});
