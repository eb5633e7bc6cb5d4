import type { Application } from "./application.ts";
import type { LoadedConfiguration } from "./config/load.ts";
import type { Configuration } from "./config/schema.ts";
import type { Upstreams } from "./egress/upstreams.ts";
import type { Ingress } from "./ingress/ingress.ts";
import type { TcpIngress } from "./ingress/tcp-ingress.ts";
import type { OpenComponents } from "./open-components.ts";
import type { PluginRegistry } from "./plugin/registry.ts";
import type { Log } from "./telemetry/log.ts";

/** The parts of a running sidecar that take another configuration. */
export interface Reconfigurable {
  readonly upstreams: Upstreams;
  readonly registry: PluginRegistry;
  readonly ingress: Ingress;
  readonly tcp: TcpIngress;
  readonly components: OpenComponents;
  readonly application: Application;
  readonly log: Log;
}

/** What is opened once, at the start. */
const fixedParts: Readonly<Record<string, (configuration: Configuration) => unknown>> = {
  api: ({ api }) => api,
  admin: ({ admin }) => admin,
  data: ({ data }) => data,
  "app.id": ({ app }) => app.id,
  "app.grpc": ({ app }) => app.grpc,
  "plugins.directory": ({ plugins }) => plugins.directory,
  "plugins.metricTags": ({ plugins }) => plugins.metricTags,
  "plugins.keep": ({ plugins }) => plugins.keep,
  "ingress.http": ({ ingress }) => ingress.http,
  "ingress.tcp": ({ ingress }) => ingress.tcp.map(({ listen }) => listen),
};

/** Applies what can change while the sidecar serves; rejects, with all as before, when components or routes are refused. */
export async function reconfigure(
  before: LoadedConfiguration,
  next: LoadedConfiguration,
  { upstreams, registry, ingress, tcp, components, application, log }: Reconfigurable,
): Promise<void> {
  const [old, wanted] = [before.configuration, next.configuration];
  await using opening = new AsyncDisposableStack();
  const change = opening.use(await components.change(next));
  const isOfComponents = change.size > 0;
  // Old routes and new ones are both in use until the switch.
  await upstreams.update({ ...old.upstreams, ...wanted.upstreams }, wanted.app);
  try {
    await registry.updateGrants(wanted.plugins.grants);
    await tcp.update(wanted.ingress);
    await ingress.update(wanted.ingress);
    await change.commit();
  } catch (error) {
    await upstreams.update(old.upstreams, old.app);
    await registry.updateGrants(old.plugins.grants);
    await tcp.update(old.ingress);
    await ingress.update(old.ingress);
    throw error;
  }
  await upstreams.update(wanted.upstreams, wanted.app);
  if (isOfComponents) {
    await application.update(next);
    await registry.partsChanged();
  }
  if (old.log.level !== wanted.log.level) log.level = wanted.log.level;
  const restart = Object.entries(fixedParts)
    .filter(([, partOf]) => JSON.stringify(partOf(old)) !== JSON.stringify(partOf(wanted)))
    .map(([part]) => part);
  if (restart.length > 0)
    log.warn({ parts: restart }, "the changed configuration takes effect in these parts at the next start");
}
