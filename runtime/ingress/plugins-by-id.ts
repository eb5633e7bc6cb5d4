import type { PluginSource, PluginUse } from "../plugin/contract.ts";
import { PluginError } from "../plugin/plugin-error.ts";

const acceptableName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** Services that requests choose by the id that the guest gave itself, or else by the plugin's name. Names come from clients: only those of plugins that are there are kept. */
export class PluginsById implements AsyncDisposable {
  readonly #source: PluginSource;
  readonly #uses = new Map<string, PluginUse>();
  readonly #asked = new Map<string, Promise<PluginUse>>();

  constructor(source: PluginSource) {
    this.#source = source;
  }

  /** The use at hand, or a promise of it that rejects with PluginError when no such plugin can serve. */
  find(id: string): PluginUse | Promise<PluginUse> {
    const name = this.#source.nameOf(id) ?? id;
    const known = this.#uses.get(name);
    if (known?.ready) return known;
    if (known !== undefined || !acceptableName.test(name)) return Promise.reject(missing(id));
    const asked = this.#asked.get(name);
    if (asked !== undefined) return asked;
    const asking = this.#ask(name).finally(() => this.#asked.delete(name));
    this.#asked.set(name, asking);
    return asking;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#asked.values());
    const uses = [...this.#uses.values()];
    this.#uses.clear();
    await Promise.all(uses.map((use) => use[Symbol.asyncDispose]()));
  }

  async #ask(id: string): Promise<PluginUse> {
    const use = await this.#source.use(id, {});
    if (use.ready) {
      this.#uses.set(id, use);
      return use;
    }
    await use[Symbol.asyncDispose]();
    throw missing(id);
  }
}

function missing(id: string): PluginError {
  return new PluginError(
    id.slice(0, 128),
    "",
    "missing",
    "no plugin is deployed under the id that a request asked for",
  );
}
