import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { z } from "zod";
import { ServerWatch } from "../clients/server-watch.ts";
import type { CallContext, ComponentLog, Reachability } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { codeOf, messageOf } from "../thrown.ts";
import { fingerprintOf, readSecretText } from "./read-text.ts";
import { defineSecretStore, type Secret, type SecretStore } from "./secret-store.ts";
import { parseSecrets, type SecretsLayout } from "./secret-texts.ts";

/** Secrets in one file of YAML or JSON, which is read again when it has changed. */
export const fileSecretStore = defineSecretStore({
  type: "file",
  capabilities: [],
  config: z.strictObject({
    path: z
      .string()
      .min(1)
      .describe("A file in YAML or JSON: a mapping of names to secrets. Relative to data.directory"),
    separator: z
      .string()
      .min(1)
      .default(":")
      .describe("Stands between the keys of nested mappings: the value of `a: { b: x }` is the secret a:b; default :"),
    multiValued: z
      .boolean()
      .default(false)
      .describe(
        "Whether a mapping at the top is one secret with a value under each key, in place of several secrets; default false",
      ),
    maxBytes: z
      .int()
      .positive()
      .default(1024 ** 2)
      .describe("Largest size of the file; default 1 MiB. A larger one is refused"),
  }),
  async open({ path, separator, multiValued, maxBytes }, { name, dataDirectory, log, reachability }) {
    const layout = { separator, isMultiValued: multiValued };
    const file = resolve(dataDirectory, path);
    const store = new FileSecretStore({ name, file, layout, maxBytes, log, reachability });
    await store.begin();
    return store;
  },
});

interface FileStoreOptions {
  readonly name: string;
  readonly file: string;
  readonly layout: SecretsLayout;
  readonly maxBytes: number;
  readonly log: ComponentLog;
  readonly reachability: Reachability;
}

type Secrets = ReadonlyMap<string, Secret>;

class FileSecretStore implements SecretStore {
  readonly #options: FileStoreOptions;
  #secrets: Secrets = new Map();
  /** Of the file that was read last, understood or not. */
  #fingerprint = "";
  readonly #watch: ServerWatch;
  #reading: Promise<Secrets> | undefined;

  constructor(options: FileStoreOptions) {
    const { name, file, log, reachability } = options;
    this.#options = options;
    const server = `the file of secret store '${name}'`;
    this.#watch = new ServerWatch({ server, log, reachability, probe: () => stat(file) });
  }

  /** Rejects when the file is not there or is not understood. */
  async begin(): Promise<void> {
    const { name, file } = this.#options;
    try {
      await this.#read();
    } catch (cause) {
      const message = `the file '${file}' of secret store '${name}' cannot be used: ${whyOf(cause)}`;
      throw new RuntimeError("FAILED_PRECONDITION", "SECRET_FILE_REFUSED", message);
    }
  }

  async get({ name }: { readonly name: string }, { signal }: CallContext): Promise<Secret | undefined> {
    signal.throwIfAborted();
    const secret = (await this.#current()).get(name);
    return secret === undefined ? undefined : { ...secret };
  }

  async getAll({ signal }: CallContext): Promise<Readonly<Record<string, Secret>>> {
    signal.throwIfAborted();
    return Object.fromEntries([...(await this.#current())].map(([name, secret]) => [name, { ...secret }]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reading?.catch(() => undefined);
    await this.#watch[Symbol.asyncDispose]();
  }

  /** What the file says now; what it said before while it is not understood. */
  #current(): Promise<Secrets> {
    this.#reading ??= this.#look().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #look(): Promise<Secrets> {
    const { name, file, log } = this.#options;
    let fingerprint = "";
    try {
      fingerprint = fingerprintOf(await stat(file, { bigint: true }));
      if (fingerprint !== this.#fingerprint) await this.#read();
    } catch (error) {
      if (codeOf(error) !== undefined) {
        this.#watch.suspect();
        const message = `the file '${file}' of secret store '${name}' cannot be read now: ${whyOf(error)}`;
        throw new RuntimeError("UNAVAILABLE", "SECRET_FILE_UNREADABLE", message);
      }
      this.#fingerprint = fingerprint;
      log.error({ file, fault: whyOf(error) }, "a file of secrets is not understood; what it said before stays");
    }
    return this.#secrets;
  }

  async #read(): Promise<void> {
    const { file, layout, maxBytes } = this.#options;
    const { text, fingerprint } = await readSecretText(file, maxBytes);
    this.#secrets = parseSecrets(text, layout);
    this.#fingerprint = fingerprint;
  }
}

const whyOf = (error: unknown): string =>
  codeOf(error) === "ENOENT" ? "it does not exist" : (codeOf(error) ?? messageOf(error));
