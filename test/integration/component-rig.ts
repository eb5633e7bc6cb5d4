/** A sidecar with components of proto/wit/outrigger.wit: a service and a step in a filter chain. */
import { copyFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { componentGuestFile } from "../support/component-guests.ts";
import { ask, type HttpAnswer, type HttpQuestion } from "../support/http.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { serve } from "./ingress-rig.ts";
import { builtPlugin } from "./plugin-sdk-guest.ts";

export interface ComponentRig extends AsyncDisposable {
  readonly sidecar: Sidecar;
  /** Puts another manifest of the service into the directory of plugins. */
  deploy(manifest: Readonly<Record<string, unknown>>): Promise<void>;
  /** Calls the service: a name, and what comes behind it. */
  call(path: string, question?: HttpQuestion): Promise<HttpAnswer>;
}

const granted = {
  state: ["orders"],
  pubsub: ["events"],
  config: ["settings"],
  lock: ["jobs"],
  sequencer: ["numbers"],
  invoke: ["slow"],
};

export const adminToken = "a-token-of-the-test";

const service = { kind: "service", capabilities: granted, configuration: { greeting: "hello" } };

/** The file of the service. */
export const serviceGuest = (): Promise<string> =>
  componentGuestFile({
    source: new URL("component-guest.js", import.meta.url),
    world: "full-service",
    wasi: "imported",
  });

const stepGuest = (): Promise<string> =>
  componentGuestFile({ source: new URL("component-step.js", import.meta.url), world: "step" });

/** `manifest` is laid over the manifest of the service. */
export async function openComponents(manifest: Readonly<Record<string, unknown>> = {}): Promise<ComponentRig> {
  await using opening = new AsyncDisposableStack();
  const { path } = opening.use(await temporaryDirectory());
  // It answers when its client gives up.
  const slow = opening.use(await serve((request, response) => void request.once("close", () => response.end())));
  const application = opening.use(
    await serve(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const { method, url, headers } = request;
      const { "x-step": step = null, "x-secret": secret = null } = headers;
      response.end(JSON.stringify({ method, url, step, secret, body: Buffer.concat(chunks).toString() }));
    }),
  );
  const memory = { type: "memory" };
  const plugins = {
    service: { ...service, ...manifest },
    step: { kind: "filter" },
    inventory: { kind: "service", capabilities: { state: ["orders"] }, configuration: { store: "orders" } },
  };
  for (const [name, more] of Object.entries(plugins))
    await writeFile(join(path, "plugins", `${name}.yaml`), stringify({ name, version: "1.0.0", ...more }));
  await copyFile(await serviceGuest(), join(path, "plugins", "service.wasm"));
  await copyFile(await stepGuest(), join(path, "plugins", "step.wasm"));
  await writeFile(join(path, "plugins", "inventory.wasm"), await builtPlugin("inventory"));
  const sidecar = opening.use(
    await startSidecar(path, {
      app: { id: "shop", http: application.address },
      admin: { token: adminToken },
      components: {
        state: { orders: memory, secret: memory },
        pubsub: { events: memory },
        config: { settings: memory },
        lock: { jobs: memory },
        sequencer: { numbers: memory },
      },
      upstreams: { slow: { endpoints: [slow.address] } },
      plugins: { directory: "./plugins", grants: { service: granted, inventory: { state: ["orders"] } } },
      ingress: {
        routes: [
          { match: { prefix: "/service" }, to: { plugin: "service" } },
          { match: { prefix: "/inventory" }, to: { plugin: "inventory" } },
          { match: { prefix: "/" }, filters: [{ plugin: "step" }], to: { app: true } },
        ],
      },
    }),
  );
  const open = opening.move();
  return {
    sidecar,
    async deploy(next) {
      const text = stringify({ name: "service", ...service, ...manifest, ...next });
      await writeFile(join(path, "next.yaml"), text);
      await rename(join(path, "next.yaml"), join(path, "plugins", "service.yaml"));
    },
    call: (call, question) => ask(sidecar.ingress, `/service/${call}`, question),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}
