import { payForResult, payForStream } from "../charge.ts";
import { throwBlobError } from "./blob-error.ts";
import { IncomingValue, partOf } from "./blob-incoming.ts";
import type { OutgoingValue } from "./blob-outgoing.ts";
import { type BlobPlace, noPieces, secondsOf } from "./blob-place.ts";

/** A guest gets no more names at once, whatever it asks for. */
const mostNames = 1_000n;

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
    if (length === 0) return new IncomingValue(host, 0, noPieces());
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
    for (const name of names) payForResult(this.#place.host, name.length);
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
