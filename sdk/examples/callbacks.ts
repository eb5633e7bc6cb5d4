/**
 * Serves events to the runtime, whose configuration has `app: { grpc: 127.0.0.1:9999 }` and, for the clock,
 * `components: { binding: { example-clock: { type: cron, schedule: "@every 1s" } } }`.
 */
import { serveCallbacks } from "@outrigger/sdk";

const server = await serveCallbacks({
  port: Number(process.env.APP_GRPC_PORT ?? 9999),
  topics: {
    "events/example-orders": async (event) => {
      console.log(`got ${event.data.text()}`);
      return "success"; // or "retry", or "drop"
    },
  },
  bindings: {
    "example-clock": async (event) => {
      console.log(`the clock says ${event.metadata.scheduledTime}`);
    },
  },
});
console.log(`serving callbacks on ${server.address}`);
process.once("SIGTERM", () => server[Symbol.asyncDispose]());
