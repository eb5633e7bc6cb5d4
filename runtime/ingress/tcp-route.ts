import type { Configuration } from "../config/schema.ts";
import type { PluginSource, PluginUse } from "../plugin/contract.ts";
import { usesOf } from "../proxy/filter-uses.ts";

export type TcpConfiguration = Configuration["ingress"]["tcp"][number];

/** One version of what a TCP listener does; disposed when the last connection that began on it has ended. */
export class TcpRoute implements AsyncDisposable {
  readonly config: TcpConfiguration;
  readonly maxBufferBytes: number;
  readonly filters: readonly PluginUse[];
  readonly #owned: AsyncDisposableStack;
  #connections = 0;
  #emptied: (() => void) | undefined;

  private constructor(
    config: TcpConfiguration,
    maxBufferBytes: number,
    filters: readonly PluginUse[],
    owned: AsyncDisposableStack,
  ) {
    this.config = config;
    this.maxBufferBytes = maxBufferBytes;
    this.filters = filters;
    this.#owned = owned;
  }

  /** Rejects when a plugin's configuration is not acceptable; then nothing is kept. */
  static async build(config: TcpConfiguration, maxBufferBytes: number, plugins: PluginSource): Promise<TcpRoute> {
    await using building = new AsyncDisposableStack();
    const filters = await usesOf(config.filters, async (plugin, options) =>
      building.use(await plugins.use(plugin, options)),
    );
    return new TcpRoute(config, maxBufferBytes, filters, building.move());
  }

  begin(): void {
    this.#connections += 1;
  }

  end(): void {
    this.#connections -= 1;
    if (this.#connections === 0) this.#emptied?.();
  }

  /** Waits for the connections on it, then lets its plugins go. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#connections > 0) {
      await new Promise<void>((resolve) => {
        this.#emptied = resolve;
      });
    }
    await this.#owned.disposeAsync();
  }
}
