import type { UpstreamConfiguration } from "../config/schema.ts";
import { LiveSet } from "../http2/live-set.ts";
import type { Caller, PluginSource, PluginUse } from "../plugin/contract.ts";
import { PluginError } from "../plugin/plugin-error.ts";
import { type Failure, type Handler, outbound, type RequestSink, type ResponseSink } from "../proxy/exchange.ts";
import { FilterChain } from "../proxy/filter-chain.ts";
import { usesOf } from "../proxy/filter-uses.ts";
import { HeaderList } from "../proxy/headers.ts";
import { Stream } from "../proxy/stream.ts";
import type { Log } from "../telemetry/log.ts";
import { FilteredAnswer, FilteredFacts, FilteredRequest } from "./filtered-request.ts";
import type { UpstreamSettings } from "./upstream-settings.ts";

interface UpstreamFiltersOptions {
  readonly upstream: string;
  readonly config: Pick<UpstreamConfiguration, "filters" | "maxBufferBytes" | "protocol">;
  readonly log: Log;
}

const closing: Failure = {
  status: 503,
  details: "upstream_reset",
  message: "the proxy is shutting down",
  flag: "UC",
};

/** What a filter may hold back of a body, unless it is configured. */
const defaultBufferBytes = 1024 ** 2;

/** The filters that an upstream is configured with; undefined when there are none. Rejects as `UpstreamFilters.open`. */
export async function openFilters(
  upstream: string,
  { filters = [], maxBufferBytes = defaultBufferBytes, protocol }: UpstreamSettings,
  plugins: PluginSource,
  log: Log,
): Promise<UpstreamFilters | undefined> {
  if (filters.length === 0) return undefined;
  return UpstreamFilters.open({ upstream, config: { filters, maxBufferBytes, protocol }, log }, plugins);
}

/** The filters of one upstream as the configuration has them at one time: requests that began on them end on them. */
export class UpstreamFilters implements AsyncDisposable {
  readonly #options: UpstreamFiltersOptions;
  readonly #uses: readonly PluginUse[];
  readonly #owned: AsyncDisposableStack;
  readonly #active = new LiveSet<FilterChain>();
  #left: (() => void) | undefined;
  readonly #finished = (chain: FilterChain): void => {
    this.#active.delete(chain);
    if (this.#active.size === 0) this.#left?.();
  };

  private constructor(options: UpstreamFiltersOptions, uses: readonly PluginUse[], owned: AsyncDisposableStack) {
    this.#options = options;
    this.#uses = uses;
    this.#owned = owned;
  }

  /** Rejects with PluginError when a plugin refuses its configuration, or is no filter; then nothing is kept. */
  static async open(options: UpstreamFiltersOptions, plugins: PluginSource): Promise<UpstreamFilters> {
    const { upstream, config, log } = options;
    await using opening = new AsyncDisposableStack();
    const uses = await usesOf(config.filters, async (plugin, wanted) => {
      const use = opening.use(await plugins.use(plugin, wanted));
      if (use.kind === "service") throw notAFilter(plugin, upstream);
      return new FilterUse(use, upstream);
    });
    for (const { plugin, ready, fail } of uses) {
      if (ready) continue;
      const until = fail === "open" ? "its requests go on without it" : "its requests are answered 503";
      log.warn({ upstream, plugin }, `upstream '${upstream}' has a filter '${plugin}' that cannot serve; ${until}`);
    }
    return new UpstreamFilters(options, uses, opening.move());
  }

  /** Names of the plugins that cannot serve now. */
  missing(): readonly string[] {
    return this.#uses.filter(({ ready }) => !ready).map(({ plugin }) => plugin);
  }

  /**
   * Takes a request through the filters to `target`. It passes none of a plugin that it comes from, directly or by way of
   * other plugins' requests, so that no filter comes back to itself.
   */
  begin(
    given: HeaderList,
    endOfStream: boolean,
    client: ResponseSink,
    caller: Caller | undefined,
    target: Handler,
  ): RequestSink {
    const filters = caller === undefined ? this.#uses : this.#uses.filter(({ plugin }) => !comesFrom(caller, plugin));
    if (filters.length === 0) return target(given, endOfStream, client);
    const { upstream, config, log } = this.#options;
    // What the filters make of it is the upstream's to see, not of those in front.
    const request = HeaderList.ofFlat(given.flat);
    request.sensitive = given.sensitive;
    const connection = config.protocol === "http" ? outbound.http1 : outbound.http2;
    const stream = new Stream(connection, request, request.get("x-request-id") ?? "", caller);
    const facts = new FilteredFacts(upstream, stream);
    stream.upstream = facts;
    const answer = new FilteredAnswer(client);
    const chain = new FilterChain({
      stream,
      choice: { filters, target: { kind: "handler", handler: target, upstream }, deadlines: undefined },
      unroutedFilters: 0,
      choose: undefined,
      client: answer,
      maxBufferBytes: config.maxBufferBytes,
      maxBodyBytes: undefined,
      upstream,
      log,
      finished: this.#finished,
    });
    this.#active.add(chain);
    chain.start(endOfStream);
    answer.begun();
    return new FilteredRequest(chain.request, answer, facts);
  }

  /** Ends the requests under way with a failure. */
  abandon(): void {
    for (const chain of this.#active) chain.fail(closing);
  }

  /** Waits for the requests under way, then lets the plugins go. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#active.size > 0) {
      await new Promise<void>((resolve) => {
        this.#left = resolve;
      });
    }
    await this.#owned.disposeAsync();
  }
}

/** A use of what must be a filter, whatever is deployed under its name later. The use itself is its opener's to let go. */
class FilterUse implements PluginUse {
  readonly plugin: string;
  readonly #use: PluginUse;
  readonly #upstream: string;

  constructor(use: PluginUse, upstream: string) {
    this.plugin = use.plugin;
    this.#use = use;
    this.#upstream = upstream;
  }

  get fail(): PluginUse["fail"] {
    return this.#use.fail;
  }

  get ready(): boolean {
    return this.#use.ready && this.#use.kind !== "service";
  }

  open(host: Parameters<PluginUse["open"]>[0]): ReturnType<PluginUse["open"]> {
    if (this.#use.kind === "service") throw notAFilter(this.plugin, this.#upstream);
    return this.#use.open(host);
  }

  openConnection(host: Parameters<PluginUse["openConnection"]>[0]): ReturnType<PluginUse["openConnection"]> {
    return this.#use.openConnection(host);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function notAFilter(plugin: string, upstream: string): PluginError {
  const message = `plugin '${plugin}' is of kind service; upstreams.${upstream}.filters takes plugins of kind filter`;
  return new PluginError(plugin, "", "refused", message);
}

function comesFrom(caller: Caller, plugin: string): boolean {
  for (let at: Caller | undefined = caller; at !== undefined; at = at.caller) if (at.plugin === plugin) return true;
  return false;
}
