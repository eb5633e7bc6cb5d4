import { basename, resolve } from "node:path";
import { codeOf, messageOf } from "../../components/thrown.ts";
import type { Log } from "../telemetry/log.ts";
import type { PluginArtifact } from "./artifact.ts";
import { DirectoryDeploys, type DirectoryMemory } from "./directory-deploys.ts";
import { type PluginFile, scanDirectory } from "./directory-scan.ts";
import type { SettledFile } from "./early-files.ts";
import { FolderWatchers } from "./folder-watchers.ts";
import { type Freed, type KnownFile, KnownFiles } from "./known-files.ts";
import type { PluginOperations } from "./operations.ts";
import { PluginError } from "./plugin-error.ts";

export interface PluginDirectoryOptions {
  readonly directory: string;
  readonly registry: Pick<PluginOperations, "deploy" | "remove" | "abort" | "list"> & {
    /** Remembers why something meant for that name could not even be read. */
    refuse(name: string, error: PluginError): Promise<void>;
    /** Compiles what will be deployed soon, if nothing comes in between. */
    anticipate?(artifact: PluginArtifact): void;
  };
  /** What the directory deployed before the process started; default nothing. */
  readonly memory?: DirectoryMemory | undefined;
  /** Rejects with PluginError what may not be deployed from the path; default everything may. */
  readonly admit?: ((artifact: PluginArtifact, path: string) => Promise<void>) | undefined;
  readonly log: Log;
  /** A file is deployed when it has not changed for so long, sooner when it is whole with its manifest; default 100 ms. */
  readonly quietMs?: number;
  /** A look without any event, for file systems that send none; default 10 s. */
  readonly rescanMs?: number;
}

/** Least time from one look to the next. */
const restMs = 10;

/**
 * Keeps the registry as the directory is: a `.wasm` (or its manifest) that is added, replaced or removed is deployed or removed
 * once it has been quiet. Renames, links that are swapped (as in a Kubernetes ConfigMap) and a directory that comes later or
 * comes again count; a directory that vanishes leaves what runs alone.
 */
export class PluginDirectory implements AsyncDisposable {
  readonly #options: PluginDirectoryOptions;
  readonly #directory: string;
  readonly #deploys: DirectoryDeploys;
  readonly #files: KnownFiles;
  readonly #watchers: FolderWatchers;
  readonly #quietMs: number;
  readonly #closing = new AbortController();
  #changed = true;
  #wake: () => void = () => {};
  #lastTrouble = "";
  #loop: Promise<void> = Promise.resolve();

  private constructor(options: PluginDirectoryOptions) {
    this.#options = options;
    this.#directory = resolve(options.directory);
    this.#quietMs = options.quietMs ?? 100;
    this.#files = new KnownFiles(this.#quietMs);
    const { memory, registry, log } = options;
    this.#deploys = new DirectoryDeploys({ memory, operations: registry, log });
    for (const { plugin, path } of this.#deploys.knownIn(this.#directory)) {
      this.#files.remember(plugin, path);
    }
    this.#watchers = new FolderWatchers(() => {
      this.#changed = true;
      this.#wake();
    });
  }

  /** Resolves when everything that lies in the directory has been deployed or refused; refusals are logged. */
  static async open(options: PluginDirectoryOptions): Promise<PluginDirectory> {
    const directory = new PluginDirectory(options);
    const isUnsettled = await directory.#look(true);
    directory.#loop = directory.#follow(isUnsettled);
    return directory;
  }

  /** Watches no more; what was deployed stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#loop;
    this.#watchers[Symbol.dispose]();
  }

  async #follow(isUnsettledAtFirst: boolean): Promise<void> {
    const { rescanMs = 10_000 } = this.#options;
    let isUnsettled = isUnsettledAtFirst;
    while (!this.#closing.signal.aborted) {
      await this.#pause(Math.min(this.#quietMs, restMs), false);
      if (!this.#changed) await this.#pause(isUnsettled ? this.#files.untilQuiet() : rescanMs, true);
      if (!this.#closing.signal.aborted) isUnsettled = await this.#look(false);
    }
  }

  #pause(ms: number, endsAtChange: boolean): Promise<void> {
    const { signal } = this.#closing;
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done);
      if (endsAtChange) this.#wake = done;
    });
  }

  /** One look; true when something was seen that must prove quiet first. */
  async #look(isFirst: boolean): Promise<boolean> {
    this.#changed = false;
    try {
      const scan = await scanDirectory(this.#directory);
      if (scan === undefined) {
        this.#watchers.follow(new Map([[resolve(this.#directory, ".."), new Set([basename(this.#directory)])]]));
        this.#trouble(`the plugins directory ${this.#directory} does not exist; plugins are deployed when it does`);
        return false;
      }
      if (this.#watchers.follow(scan.interests)) this.#changed = true;
      const { settled, changed, isUnsettled } = this.#files.compare(scan.files, isFirst);
      const early = await this.#early(changed);
      const isPending = await this.#deploySettled([...settled.map((file) => ({ file })), ...early]);
      const isFreed = await this.#removeOrphans(this.#files.forgetGone());
      const isYoung = isFirst && this.#files.doubtYoung(settled);
      if (isFirst) await this.#leaveOtherDirectories();
      this.#lastTrouble = "";
      return isUnsettled || early.length < changed.length || isPending || isFreed || isYoung;
    } catch (error) {
      this.#trouble(`the plugins directory ${this.#directory} cannot be read: ${messageOf(error)}`);
      return false;
    }
  }

  /** Those of the changed that are deployed at once. What reads modules loads with the first of them. */
  async #early(changed: readonly PluginFile[]): Promise<SettledFile[]> {
    if (changed.length === 0) return [];
    const { earlyFiles } = await import("./early-files.ts");
    return earlyFiles(changed, this.#options, (file) => this.#files.isWhole(file));
  }

  /** Deploys side by side; true when a file must be looked at again soon. */
  async #deploySettled(files: readonly SettledFile[]): Promise<boolean> {
    if (files.length === 0) return false;
    const deploys: Promise<boolean>[] = [];
    let isPending = false;
    for (const { file, artifact: early } of files) {
      const known = this.#files.get(file);
      if (known === undefined) continue;
      const artifact = early ?? (await this.#read(file, known));
      if (artifact === undefined) continue;
      const mayBecomeWhole = this.#files.mayBecomeWhole(known);
      if (mayBecomeWhole && artifact.problem?.kind === "incomplete") isPending = true;
      else if (this.#claim(artifact.manifest.name, file, known)) deploys.push(this.#deploy(artifact, file, known));
    }
    const freed = await Promise.all(deploys);
    return isPending || freed.includes(true);
  }

  async #read(file: PluginFile, known: KnownFile): Promise<PluginArtifact | undefined> {
    const { readArtifact } = await import("./artifact.ts");
    try {
      return await readArtifact(file.path);
    } catch (error) {
      if (error instanceof PluginError) await this.#refuse([...known.names][0] ?? error.plugin, error, file, known);
      else if (!isGone(error)) this.#failed(error, file, known);
      return undefined;
    }
  }

  /** Whether no other file has the plugin's name. */
  #claim(name: string, file: PluginFile, known: KnownFile): boolean {
    const holder = this.#files.claim(name, known);
    if (holder === undefined) return true;
    const why = `plugin '${name}' comes from ${holder}.wasm already; give one of them another name, or remove it`;
    this.#handled(file, known, name, `${file.path} is not deployed: ${why}`);
    return false;
  }

  async #deploy(artifact: PluginArtifact, file: PluginFile, known: KnownFile): Promise<boolean> {
    const { name } = artifact.manifest;
    try {
      if (!(await this.#admits(artifact, file, known))) return false;
      await this.#deploys.deploy(artifact, file.path);
    } catch (error) {
      // That the disk was full is not the file's fault.
      const isFinal = error instanceof PluginError && error.fault !== "storage";
      if (isFinal) this.#handled(file, known, name, error.message);
      else this.#failed(error, file, known);
      return false;
    }
    known.handled = file.signature;
    return this.#removeOrphans(this.#files.keepOnly(name, known));
  }

  async #admits(artifact: PluginArtifact, file: PluginFile, known: KnownFile): Promise<boolean> {
    try {
      await this.#options.admit?.(artifact, file.path);
      return true;
    } catch (error) {
      if (!(error instanceof PluginError)) throw error;
      await this.#refuse(artifact.manifest.name, error, file, known);
      return false;
    }
  }

  /** Removes the plugins whose files are gone; true when other files waited for the names. */
  async #removeOrphans({ isInherited, orphans }: Freed): Promise<boolean> {
    await this.#gone(orphans);
    return isInherited;
  }

  /** What was deployed from a directory that is not this one goes, unless its name is used here. */
  #leaveOtherDirectories(): Promise<void> {
    const others = this.#deploys.notIn(this.#directory);
    return this.#gone(others.filter((name) => !this.#files.uses(name)));
  }

  async #gone(names: readonly string[]): Promise<void> {
    const gone = names.map(async (name) => {
      await this.#deploys.gone(name).catch((error: unknown) => {
        this.#options.log.error({ plugin: name, err: error }, `plugin '${name}' is not removed: ${messageOf(error)}`);
      });
    });
    await Promise.all(gone);
  }

  async #refuse(name: string, error: PluginError, file: PluginFile, known: KnownFile): Promise<void> {
    known.names.add(name);
    await this.#options.registry.refuse(name, error);
    this.#handled(file, known, name, error.message);
  }

  /** The file was refused; it is left alone until it changes. */
  #handled(file: PluginFile, known: KnownFile, plugin: string, why: string): void {
    known.handled = file.signature;
    this.#tell(file, known, { plugin }, why);
  }

  /** Something outside the plugin went wrong: it is tried again at every look. */
  #failed(error: unknown, file: PluginFile, known: KnownFile): void {
    this.#tell(file, known, { err: error }, `${file.path} could not be deployed: ${messageOf(error)}`);
  }

  /** Says what is wrong with a file, once for each state of it. */
  #tell({ path, signature }: PluginFile, known: KnownFile, fields: object, message: string): void {
    const what = `${signature} ${message}`;
    if (what !== known.told) this.#options.log.error({ file: path, ...fields }, message);
    known.told = what;
  }

  #trouble(message: string): void {
    if (message !== this.#lastTrouble) this.#options.log.warn({ directory: this.#directory }, message);
    this.#lastTrouble = message;
  }
}

/** The file went away between the look and the read; the next look sees it. */
const isGone = (error: unknown): boolean => codeOf(error) === "ENOENT";
