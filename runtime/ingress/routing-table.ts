import type { Configuration, RouteConfiguration } from "../config/schema.ts";
import { application, grpcApplication } from "../egress/upstream-settings.ts";
import type { Upstreams } from "../egress/upstreams.ts";
import type { PluginSource, PluginUse, UseOptions } from "../plugin/contract.ts";
import type { Target } from "../proxy/choice.ts";
import type { Failure } from "../proxy/exchange.ts";
import { usesOf } from "../proxy/filter-uses.ts";
import type { HeaderList } from "../proxy/headers.ts";
import { isGrpc } from "../proxy/local-reply.ts";
import { pathOf, type RouteTest, routeName, routeTest } from "../proxy/route.ts";
import { PluginsById } from "./plugins-by-id.ts";

type Destination = RouteConfiguration["to"];

/** A route as requests use it. */
export interface Route {
  readonly name: string;
  readonly matches: RouteTest;
  readonly filters: readonly PluginUse[];
  readonly timeoutMs: number;
  /** Where this request goes, or why it cannot go there. */
  target(request: HeaderList): Target | Failure;
}

/** One version of the routes with the plugins they use; disposed when the last stream that began on it has ended. */
export class RoutingTable implements AsyncDisposable {
  readonly config: Configuration["ingress"];
  /** The filters of every route, which come before its own; a request without a route has them too. */
  readonly everywhere: readonly PluginUse[];
  readonly #routes: readonly Route[];
  readonly #uses: readonly PluginUse[];
  readonly #owned: AsyncDisposableStack;
  #streams = 0;
  #retired: (() => void) | undefined;

  private constructor(
    config: Configuration["ingress"],
    everywhere: readonly PluginUse[],
    routes: readonly Route[],
    uses: readonly PluginUse[],
    owned: AsyncDisposableStack,
  ) {
    this.config = config;
    this.everywhere = everywhere;
    this.#routes = routes;
    this.#uses = uses;
    this.#owned = owned;
  }

  /** Rejects when an expression, a weight or a plugin's configuration is not acceptable; then nothing is kept. */
  static async build(
    config: Configuration["ingress"],
    plugins: PluginSource,
    upstreams: Upstreams,
  ): Promise<RoutingTable> {
    await using building = new AsyncDisposableStack();
    const uses: PluginUse[] = [];
    const use = async (plugin: string, options: UseOptions): Promise<PluginUse> => {
      const opened = building.use(await plugins.use(plugin, options));
      uses.push(opened);
      return opened;
    };
    const byId = building.use(new PluginsById(plugins));
    const everywhere = await usesOf(config.filters, use);
    const routes: Route[] = [];
    for (const entry of config.routes) {
      routes.push({
        name: routeName(entry.match),
        matches: routeTest(entry.match),
        filters: [...everywhere, ...(await usesOf(entry.filters, use))],
        timeoutMs: entry.timeout,
        target: await targetOf(entry.to, { use, byId, upstreams }),
      });
    }
    return new RoutingTable(config, everywhere, routes, uses, building.move());
  }

  /** The first route that matches. */
  find(request: HeaderList): Route | undefined {
    const path = pathOf(request.get(":path") ?? "");
    return this.#routes.find((route) => route.matches(request, path));
  }

  /** Names of the plugins that cannot serve now. */
  missing(): readonly string[] {
    return [...new Set(this.#uses.filter((use) => !use.ready).map((use) => use.plugin))];
  }

  begin(): void {
    this.#streams += 1;
  }

  end(): void {
    this.#streams -= 1;
    if (this.#streams === 0) this.#retired?.();
  }

  /** Waits for the streams on this table, then lets its plugins go. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#streams > 0) {
      await new Promise<void>((resolve) => {
        this.#retired = resolve;
      });
    }
    await this.#owned.disposeAsync();
  }
}

interface Sources {
  readonly use: (plugin: string, options: UseOptions) => Promise<PluginUse>;
  readonly byId: PluginsById;
  readonly upstreams: Upstreams;
}

async function targetOf(to: Destination, { use, byId, upstreams }: Sources): Promise<Route["target"]> {
  if (Array.isArray(to)) return weighted(to, upstreams);
  if ("plugin" in to) return always({ kind: "service", use: await use(to.plugin, {}) });
  if ("app" in to) return toApplication(upstreams);
  if ("upstream" in to) return always(toUpstream(to.upstream, upstreams));
  return (request) => {
    const id = request.get("id");
    return id === undefined ? withoutId : { kind: "service", use: () => byId.find(id) };
  };
}

const withoutId: Failure = {
  status: 400,
  details: "plugin_id_missing",
  message: "the request header 'id' must name a plugin",
};

function always(target: Target): Route["target"] {
  return () => target;
}

function toUpstream(upstream: string, upstreams: Upstreams): Target {
  return { kind: "handler", handler: upstreams.handler(upstream), upstream };
}

/** Calls of gRPC go to the application's gRPC address, everything else to its HTTP address; with one of both, all goes there. */
function toApplication(upstreams: Upstreams): Route["target"] {
  const http = toUpstream(application, upstreams);
  const grpc = toUpstream(grpcApplication, upstreams);
  return (request) => {
    const wantsGrpc = isGrpc(request) || !upstreams.has(application);
    return wantsGrpc && upstreams.has(grpcApplication) ? grpc : http;
  };
}

function weighted(choices: readonly { upstream: string; weight: number }[], upstreams: Upstreams): Route["target"] {
  const total = choices.reduce((sum, choice) => sum + choice.weight, 0);
  if (total === 0) throw new Error("the weights of a route's upstreams add up to 0; at least one must be above");
  const bounds: { below: number; target: Target }[] = [];
  let below = 0;
  for (const { upstream, weight } of choices) {
    below += weight;
    bounds.push({ below, target: toUpstream(upstream, upstreams) });
  }
  return () => {
    const drawn = Math.random() * total;
    const choice = bounds.find((bound) => drawn < bound.below) ?? bounds.at(-1);
    if (choice === undefined) throw new Error("a route has no upstreams");
    return choice.target;
  };
}
