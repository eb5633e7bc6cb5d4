import { parseDocument, Scalar } from "yaml";
import {
  type ConfiguredComponents,
  type LoadedConfiguration,
  type LoadOptions,
  parseConfiguration,
} from "./config/load.ts";
import { ConfigurationError } from "./config/mistake.ts";
import { fileSource } from "./config/source.ts";
import type { Log } from "./telemetry/log.ts";

/** Puts a configuration in force in place of another; rejects, with everything as it was, when it cannot be. */
export type Reconfigure = (before: LoadedConfiguration, next: LoadedConfiguration) => Promise<void>;

/** Other settings for a component that is configured; a dot in a key leads into a group of settings. */
export interface ComponentEdit {
  readonly kind: keyof ConfiguredComponents;
  readonly name: string;
  readonly settings: Readonly<Record<string, string>>;
}

/** The configuration that is in force. Changes of the file and edits take turns. */
export class LiveConfiguration {
  readonly #options: LoadOptions;
  readonly #reconfigure: Reconfigure;
  readonly #log: Log;
  readonly #initial: LoadedConfiguration;
  #current: LoadedConfiguration;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(loaded: LoadedConfiguration, options: LoadOptions, reconfigure: Reconfigure, log: Log) {
    this.#initial = loaded;
    this.#current = loaded;
    this.#options = options;
    this.#reconfigure = reconfigure;
    this.#log = log;
  }

  get current(): LoadedConfiguration {
    return this.#current;
  }

  /** Applies each change of the file until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    for await (const next of fileSource(this.#initial, this.#options, this.#log).snapshots(signal)) {
      try {
        await this.#inTurn(() => this.#apply(next));
        this.#log.info("the changed configuration is in force");
      } catch (error) {
        this.#log.error({ err: error }, "the changed configuration is refused; the one before stays in force");
      }
    }
  }

  /**
   * Changes the settings of one component until the file changes or the process ends. Rejects with ConfigurationError that names
   * every mistake, or with what keeps the component from being opened.
   */
  edit(edit: ComponentEdit): Promise<void> {
    return this.#inTurn(async () => {
      await this.#apply(await this.#edited(edit));
      const { kind, name, settings } = edit;
      this.#log.info({ kind, component: name, settings: Object.keys(settings) }, "a component has other settings");
    });
  }

  async #apply(next: LoadedConfiguration): Promise<void> {
    await this.#reconfigure(this.#current, next);
    this.#current = next;
  }

  /** Values are text; where a setting takes no text, they are the numbers and truth values that they are in YAML. */
  async #edited(edit: ComponentEdit): Promise<LoadedConfiguration> {
    const { text, file } = this.#current;
    const parse = (plain: ReadonlySet<string>): Promise<LoadedConfiguration> =>
      parseConfiguration(editedText(text, edit, plain), file, this.#options);
    try {
      return await parse(new Set());
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      const prefix = `components.${edit.kind}.${edit.name}.`;
      const wrong = error.mistakes.map(({ path }) => path).filter((path) => path.startsWith(prefix));
      return parse(new Set(wrong.map((path) => path.slice(prefix.length))));
    }
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

function editedText(text: string, { kind, name, settings }: ComponentEdit, plain: ReadonlySet<string>): string {
  const document = parseDocument(text);
  for (const [key, value] of Object.entries(settings)) {
    const scalar = new Scalar<unknown>(plain.has(key) ? parseDocument(value).toJS() : value.replaceAll("${", "$${"));
    if (!plain.has(key)) scalar.type = Scalar.QUOTE_DOUBLE;
    document.setIn(["components", kind, name, ...key.split(".")], scalar);
  }
  return document.toString({ lineWidth: 0 });
}
