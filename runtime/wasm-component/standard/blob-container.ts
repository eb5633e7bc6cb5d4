import type { ObjectApi, ObjectInfo } from "../../plugin/uniform-api.ts";
import { payForBytes, payForCall } from "../outrigger/charge.ts";
import type { GuestHost } from "../provider.ts";
import { payForStream } from "../wasi/charge.ts";
import { isNotFound, throwBlobError } from "./blob-error.ts";
import { IncomingValue, partOf } from "./blob-incoming.ts";
import type { OutgoingValue } from "./blob-outgoing.ts";

/** What tells that a container was created, among the files of its store. */
const marker = ".container";
const pageSize = 1_000;
/** A guest gets no more names at once, whatever it asks for. */
const mostNames = 1_000n;

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
    payForCall(this.host, name.length);
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
    payForCall(this.host, 0);
    if (this.isStore) return 0n;
    const created = await this.#found(this.prefix + marker);
    if (created !== undefined) return secondsOf(created);
    const { objects } = await this.page("", 1);
    return objects.length > 0 ? 0n : undefined;
  }

  async create(): Promise<void> {
    await this.objects.put(this.store, this.prefix + marker, nothing(), this.host.signal).catch(throwBlobError);
  }

  page(after: string, size = pageSize) {
    payForCall(this.host, 0);
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
    payForCall(this.host, 0);
    await this.objects.delete(this.store, file, this.host.signal).catch(throwBlobError);
  }

  #found(file: string): Promise<ObjectInfo | undefined> {
    return this.objects
      .stat(this.store, file, this.host.signal)
      .catch((error: unknown) => (isNotFound(error) ? undefined : throwBlobError(error)));
  }
}

/** The resource `container`. */
export class Container {
  readonly #place: BlobPlace;

  constructor(place: BlobPlace) {
    this.#place = place;
  }

  name(): string {
    return this.#place.name;
  }

  async info() {
    return { name: this.#place.name, createdAt: (await this.#place.createdAt()) ?? 0n };
  }

  async getData(name: string, start: bigint, end: bigint): Promise<IncomingValue> {
    const { host, objects, store } = this.#place;
    const { size } = await this.#place.stat(name);
    const from = Math.min(Number(start), size);
    // The last byte is one of them.
    const length = Math.max(0, Math.min(Number(end) + 1, size) - from);
    payForStream(host, from);
    if (length === 0) return new IncomingValue(host, 0, nothing());
    const data = await objects.get(store, this.#place.fileOf(name), host.signal).catch(throwBlobError);
    return new IncomingValue(host, length, partOf(data, from, length));
  }

  writeData(name: string, value: OutgoingValue): void {
    const { host, objects, store } = this.#place;
    const file = this.#place.fileOf(name);
    value.putBy((data) => objects.put(store, file, data, host.signal));
  }

  listObjects(): StreamObjectNames {
    return new StreamObjectNames(this.#place);
  }

  deleteObject(name: string): Promise<void> {
    return this.#place.delete(name);
  }

  async deleteObjects(names: readonly string[]): Promise<void> {
    for (const name of names) await this.#place.delete(name);
  }

  hasObject(name: string): Promise<boolean> {
    return this.#place.has(name);
  }

  async objectInfo(name: string) {
    const found = await this.#place.stat(name);
    return { name, container: this.#place.name, createdAt: secondsOf(found), size: BigInt(found.size) };
  }

  clear(): Promise<void> {
    return this.#place.clear("objects");
  }
}

/** The resource `stream-object-names`: read a page at a time. */
export class StreamObjectNames {
  readonly #place: BlobPlace;
  #names: string[] = [];
  /** Undefined after the last page. */
  #after: string | undefined = "";

  constructor(place: BlobPlace) {
    this.#place = place;
  }

  async readStreamObjectNames(count: bigint): Promise<[names: readonly string[], isEnd: boolean]> {
    const wanted = Number(count < mostNames ? count : mostNames);
    const names: string[] = [];
    while (names.length < wanted && (await this.#fill())) names.push(...this.#names.splice(0, wanted - names.length));
    for (const name of names) payForBytes(this.#place.host, name.length);
    return [names, !(await this.#fill())];
  }

  async skipStreamObjectNames(count: bigint): Promise<[skipped: bigint, isEnd: boolean]> {
    let skipped = 0n;
    while (skipped < count && (await this.#fill())) {
      const left = count - skipped;
      const here = BigInt(this.#names.length);
      const taken = left < here ? left : here;
      this.#names.splice(0, Number(taken));
      skipped += taken;
    }
    return [skipped, !(await this.#fill())];
  }

  /** Whether there are names; gets the next page when those of the last are used up. */
  async #fill(): Promise<boolean> {
    while (this.#names.length === 0 && this.#after !== undefined) {
      const page = await this.#place.page(this.#after);
      this.#after = page.marker === "" ? undefined : page.marker;
      this.#names = page.objects
        .filter(({ name }) => !this.#place.isMarker(name))
        .map(({ name }) => name.slice(this.#place.prefix.length));
    }
    return this.#names.length > 0;
  }
}

async function* nothing(): AsyncGenerator<Uint8Array, void> {}

const secondsOf = ({ modifiedAtMs }: ObjectInfo): bigint => BigInt(Math.floor(modifiedAtMs / 1000));
