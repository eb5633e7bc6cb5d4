import type { ObjectApi, ObjectInfo } from "../../plugin/uniform-api.ts";
import { payForBytes, payForCall } from "../charge.ts";
import type { GuestHost } from "../provider.ts";
import { isNotFound, throwBlobError } from "./blob-error.ts";

/** What tells that a container was created, among the files of its store. */
const marker = ".container";
const pageSize = 1_000;

/**
 * Where a container lies: a file store that was granted is one, by its name; every other lies in the first store that was granted,
 * its files beginning with `NAME/`.
 */
export class BlobPlace {
  readonly host: GuestHost;
  readonly name: string;
  readonly store: string;
  readonly prefix: string;

  /** Throws a sentence when no file store was granted, or the name can be no container's. */
  constructor(host: GuestHost, name: string) {
    const granted = host.services.api.granted("object");
    const isStore = granted.includes(name);
    const store = isStore ? name : granted[0];
    const { name: plugin } = host.program;
    if (store === undefined) {
      throw `plugin '${plugin}' was granted no file store for containers; let its manifest ask for one under capabilities.object, and grant it under plugins.grants.${plugin}.object`;
    }
    if (name === "" || name.includes("/")) throw `'${name}' can be no container's name; expected some, without '/'`;
    this.host = host;
    this.name = name;
    this.store = store;
    this.prefix = isStore ? "" : `${name}/`;
  }

  get objects(): ObjectApi {
    return this.host.services.api.object;
  }

  get isStore(): boolean {
    return this.prefix === "";
  }

  /** The file of an object. Throws a sentence when no object can be called so. */
  fileOf(name: string): string {
    payForBytes(this.host, name.length);
    if (name !== "" && name !== marker) return this.prefix + name;
    throw name === "" ? "the name of the object is empty; give one" : `the name '${marker}' is kept for the sidecar`;
  }

  stat(name: string): Promise<ObjectInfo> {
    return this.objects.stat(this.store, this.fileOf(name), this.host.signal).catch(throwBlobError);
  }

  async has(name: string): Promise<boolean> {
    return (await this.#found(this.fileOf(name))) !== undefined;
  }

  /** When it was created, in seconds; 0 where nobody knows. Undefined when there is no such container. */
  async createdAt(): Promise<bigint | undefined> {
    payForCall(this.host);
    if (this.isStore) return 0n;
    const created = await this.#found(this.prefix + marker);
    if (created !== undefined) return secondsOf(created);
    const { objects } = await this.page("", 1);
    return objects.length > 0 ? 0n : undefined;
  }

  async create(): Promise<void> {
    await this.objects.put(this.store, this.prefix + marker, noPieces(), this.host.signal).catch(throwBlobError);
  }

  page(after: string, size = pageSize) {
    payForCall(this.host);
    const page = { prefix: this.prefix, pageSize: size, marker: after };
    return this.objects.list(this.store, page, this.host.signal).catch(throwBlobError);
  }

  /** Deletes every object, and the container with them if told so. */
  async clear(what: "objects" | "container"): Promise<void> {
    for (let after = ""; ; ) {
      const page = await this.page(after);
      for (const { name } of page.objects) {
        if (what === "container" || !this.isMarker(name)) await this.#delete(name);
      }
      if (page.marker === "") return;
      after = page.marker;
    }
  }

  isMarker(file: string): boolean {
    return !this.isStore && file === this.prefix + marker;
  }

  delete(name: string): Promise<void> {
    return this.#delete(this.fileOf(name));
  }

  async #delete(file: string): Promise<void> {
    payForCall(this.host);
    await this.objects.delete(this.store, file, this.host.signal).catch(throwBlobError);
  }

  #found(file: string): Promise<ObjectInfo | undefined> {
    return this.objects
      .stat(this.store, file, this.host.signal)
      .catch((error: unknown) => (isNotFound(error) ? undefined : throwBlobError(error)));
  }
}

/** The bytes of an object that has none. */
export async function* noPieces(): AsyncGenerator<Uint8Array, void> {}

/** When it was written last, in seconds. */
export const secondsOf = ({ modifiedAtMs }: ObjectInfo): bigint => BigInt(Math.floor(modifiedAtMs / 1000));
