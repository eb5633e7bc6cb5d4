import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { installedProgram } from "./programs.ts";
import { freePort, type ServerProcess, startServer } from "./server-process.ts";

/** Three NATS servers that share JetStream, so that any one of them may be away. */
export interface NatsCluster extends AsyncDisposable {
  readonly members: readonly (ServerProcess & { readonly address: string })[];
}

/** Starts them; resolves once all are healthy, and so does a member that is started again. */
export async function startNatsCluster(): Promise<NatsCluster> {
  const program = await installedProgram("nats-server", "nats-server");
  const names = ["one", "two", "three"];
  const ports = await Promise.all(
    names.map(async (name) => ({ name, port: await freePort(), route: await freePort(), http: await freePort() })),
  );
  const routes = ports.map(({ route }) => JSON.stringify(`nats://127.0.0.1:${route}`)).join(", ");
  await using started = new AsyncDisposableStack();
  const members = await Promise.all(
    ports.map(async ({ name, port, route, http }) => {
      const server = await startServer({
        program,
        parameters: async (directory) => {
          const lines = [
            `server_name: ${name}`,
            `listen: "127.0.0.1:${port}"`,
            `http: "127.0.0.1:${http}"`,
            `jetstream { store_dir: ${JSON.stringify(join(directory, "jetstream"))} }`,
            `cluster { name: test, listen: "127.0.0.1:${route}", routes: [${routes}] }`,
          ];
          await writeFile(join(directory, "nats.conf"), lines.join("\n"));
          return ["--config", join(directory, "nats.conf")];
        },
        isReady: async () => (await fetch(`http://127.0.0.1:${http}/healthz`).catch(() => undefined))?.ok === true,
      });
      started.use(server);
      return Object.assign(server, { address: `127.0.0.1:${port}` });
    }),
  );
  const cluster = started.move();
  return { members, [Symbol.asyncDispose]: () => cluster.disposeAsync() };
}
