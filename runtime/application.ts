import type { Catalog } from "../components/catalog.ts";
import type { BindingBlock } from "./api/binding.ts";
import type { PubSubBlock } from "./api/pubsub.ts";
import { AppChannel } from "./app/app-channel.ts";
import { HttpBindings, type InputRoute } from "./app/http-bindings.ts";
import type { LoadedConfiguration } from "./config/load.ts";
import { application, type Upstreams } from "./egress/upstreams.ts";
import type { Log } from "./telemetry/log.ts";

export interface ApplicationParts {
  readonly pubsub: PubSubBlock;
  readonly bindings: BindingBlock;
  readonly upstreams: Upstreams;
  readonly catalog: Catalog;
  readonly log: Log;
}

/**
 * What is delivered to the application, by each way in that it has: topics and input bindings over gRPC, and over HTTP the
 * input bindings that it does not take there. Disposing ends the deliveries and waits for those under way.
 */
export async function openApplication(loaded: LoadedConfiguration, parts: ApplicationParts): Promise<AsyncDisposable> {
  const { app, api } = loaded.configuration;
  const { pubsub, bindings, upstreams, log } = parts;
  await using open = new AsyncDisposableStack();
  const routes = await inputRoutes(loaded, parts.catalog);
  const names = routes.map(({ binding }) => binding);
  if (names.length > 0 && app.http === undefined && app.grpc === undefined)
    log.warn(
      { bindings: names },
      "events of bindings come in, and the application has no address; set app.http or app.grpc",
    );
  const http =
    routes.length === 0
      ? undefined
      : open.use(
          new HttpBindings({
            address: () => upstreams.address(application),
            routes,
            bindings,
            waitsForGrpc: app.grpc !== undefined,
            request: (message, signal) => upstreams.httpCall(application, message, signal),
            log,
          }),
        );
  if (app.grpc !== undefined) {
    const { maxMessageBytes } = api;
    const onBindings = (taken: ReadonlySet<string>): void => http?.leave(taken);
    open.use(new AppChannel({ address: app.grpc, pubsub, bindings, maxMessageBytes, onBindings, log }));
  }
  const owned = open.move();
  return { [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The configured bindings that bring events in, whether or not they are open yet. */
async function inputRoutes({ components }: LoadedConfiguration, catalog: Catalog): Promise<readonly InputRoute[]> {
  const routes: InputRoute[] = [];
  for (const [binding, { type, settings, route }] of components.binding) {
    const definition = await catalog.binding[type]?.();
    const capabilities: readonly string[] = definition?.capabilitiesWith?.(settings) ?? definition?.capabilities ?? [];
    if (capabilities.includes("input")) routes.push({ binding, path: route ?? `/${encodeURIComponent(binding)}` });
  }
  return routes;
}
