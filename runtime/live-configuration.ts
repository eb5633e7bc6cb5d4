import { setTimeout as delay } from "node:timers/promises";
import { parseDocument, Scalar } from "yaml";
import { messageOf } from "../components/thrown.ts";
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

const firstRetryMs = 5_000;
/** What is refused may be so for good, and a wrong password may be counted where it is tried. */
const longestRetryMs = 300_000;

/**
 * The configuration that is in force. Changes of the file and edits take turns. A change that is refused though the file is good
 * is tried again now and then: what kept it may be gone.
 */
export class LiveConfiguration {
  readonly #options: LoadOptions;
  readonly #reconfigure: Reconfigure;
  readonly #log: Log;
  readonly #initial: LoadedConfiguration;
  #current: LoadedConfiguration;
  #turn: Promise<unknown> = Promise.resolve();
  #trouble: string | undefined;

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

  /** Why the file is not in force as it is now; undefined when it is. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Applies each change of the file until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    let superseded = new AbortController();
    const refused = (why: string): void => {
      superseded.abort();
      this.#trouble = why;
    };
    const retrying = new Set<Promise<void>>();
    for await (const next of fileSource(this.#initial, this.#options, this.#log, refused).snapshots(signal)) {
      superseded.abort();
      superseded = new AbortController();
      if (await this.#tryToApply(next)) continue;
      const again: Promise<void> = this.#applyLater(next, AbortSignal.any([signal, superseded.signal])).finally(() =>
        retrying.delete(again),
      );
      retrying.add(again);
    }
    await Promise.all(retrying);
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

  async #applyLater(next: LoadedConfiguration, signal: AbortSignal): Promise<void> {
    for (let waitMs = firstRetryMs; ; waitMs = Math.min(2 * waitMs, longestRetryMs)) {
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted || (await this.#tryToApply(next, signal))) return;
    }
  }

  /** Whether it is in force now. Does nothing once the signal has aborted. */
  async #tryToApply(next: LoadedConfiguration, signal?: AbortSignal): Promise<boolean> {
    try {
      await this.#inTurn(async () => {
        if (signal?.aborted !== true) await this.#apply(next);
      });
      if (signal?.aborted === true) return true;
      this.#trouble = undefined;
      this.#log.info("the changed configuration is in force");
      return true;
    } catch (error) {
      const why = messageOf(error);
      if (why !== this.#trouble)
        this.#log.error(
          { err: error },
          "the changed configuration is refused; the one before stays in force, and it is tried again",
        );
      this.#trouble = why;
      return false;
    }
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
    const scalar = new Scalar<unknown>(plain.has(key) ? plainValueOf(value) : value.replaceAll("${", () => "$${"));
    if (typeof scalar.value === "string") scalar.type = Scalar.QUOTE_DOUBLE;
    try {
      document.setIn(["components", kind, name, ...key.split(".")], scalar);
    } catch {
      const path = `components.${kind}.${name}.${key}`;
      throw new ConfigurationError("the settings", [{ path, message: "what stands before the last dot is no group" }]);
    }
  }
  return document.toString({ lineWidth: 0 });
}

/** The number or the truth value that a text is; any other stays a text. */
function plainValueOf(text: string): unknown {
  if (text === "true" || text === "false") return text === "true";
  return /^-?\d{1,15}(\.\d{1,9})?$/.test(text) ? Number(text) : text.replaceAll("${", () => "$${");
}
