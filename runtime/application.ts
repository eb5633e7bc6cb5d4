import type { Catalog } from "../components/catalog.ts";
import type { BindingBlock } from "./api/binding.ts";
import type { PubSubBlock } from "./api/pubsub.ts";
import { AppChannel } from "./app/app-channel.ts";
import { HttpBindings, type InputRoute } from "./app/http-bindings.ts";
import type { LoadedConfiguration } from "./config/load.ts";
import { application } from "./egress/upstream-settings.ts";
import type { Upstreams } from "./egress/upstreams.ts";
import type { Log } from "./telemetry/log.ts";

export interface ApplicationParts {
  readonly pubsub: PubSubBlock;
  readonly bindings: BindingBlock;
  readonly upstreams: Upstreams;
  readonly catalog: Catalog;
  readonly log: Log;
}

/** The deliveries to the application. Disposing ends them, and waits for those under way. */
export interface Application extends AsyncDisposable {
  /** Goes on with the components as they are now. */
  update(next: LoadedConfiguration): Promise<void>;
}

/**
 * What is delivered to the application, by each way in that it has: topics and input bindings over gRPC, and over HTTP the
 * input bindings that it does not take there.
 */
export async function openApplication(loaded: LoadedConfiguration, parts: ApplicationParts): Promise<Application> {
  const { app, api } = loaded.configuration;
  const { pubsub, bindings, upstreams, catalog, log } = parts;
  await using open = new AsyncDisposableStack();
  const http = open.use(
    new HttpBindings({
      address: () => upstreams.address(application),
      routes: await inputRoutes(loaded, parts),
      bindings,
      waitsForGrpc: app.grpc !== undefined,
      request: (message, signal) => upstreams.httpCall(application, message, signal),
      log,
    }),
  );
  const channel =
    app.grpc === undefined
      ? undefined
      : open.use(
          new AppChannel({
            address: app.grpc,
            pubsub,
            bindings,
            maxMessageBytes: api.maxMessageBytes,
            onBindings: (taken) => http.leave(taken),
            log,
          }),
        );
  const owned = open.move();
  return {
    async update(next) {
      http.update(await inputRoutes(next, { catalog, log }));
      channel?.askAgain();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The configured bindings that bring events in, whether or not they are open yet. */
async function inputRoutes(
  { components, configuration: { app } }: LoadedConfiguration,
  { catalog, log }: Pick<ApplicationParts, "catalog" | "log">,
): Promise<readonly InputRoute[]> {
  const routes: InputRoute[] = [];
  for (const [binding, { type, settings, route }] of components.binding) {
    const definition = await catalog.binding[type]?.();
    const capabilities: readonly string[] = definition?.capabilitiesWith?.(settings) ?? definition?.capabilities ?? [];
    if (capabilities.includes("input")) routes.push({ binding, path: route ?? `/${encodeURIComponent(binding)}` });
  }
  if (routes.length > 0 && app.http === undefined && app.grpc === undefined)
    log.warn(
      { bindings: routes.map(({ binding }) => binding) },
      "events of bindings come in, and the application has no address; set app.http or app.grpc",
    );
  return routes;
}
