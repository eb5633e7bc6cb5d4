/** Every kind of component on Postgres. */
import { startPostgres } from "../support/postgres-server.ts";
import { withServer } from "./matrix.ts";

await withServer("postgres", startPostgres, (server) => {
  const settings = () => ({ url: server().url });
  return [
    { kind: "state", type: "postgres", settings },
    { kind: "sequencer", type: "postgres", settings },
  ];
});
