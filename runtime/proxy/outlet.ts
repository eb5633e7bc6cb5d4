import type { HeaderList } from "./headers.ts";

/** Where one direction leaves the filter chain. */
export interface OutletTarget {
  head(headers: HeaderList, endOfStream: boolean): void;
  data(chunk: Uint8Array, endOfStream: boolean): void;
  trailers(trailers: HeaderList): void;
  /** The body is not as long as the head, which is out already, declared. */
  mismatched(): void;
}

/**
 * The end of the filter chain in one direction. Filters may change a body after they let its head go; so a head that
 * declares a length waits here for the first bytes, and loses the declaration when a filter changed them.
 */
export class Outlet {
  readonly #target: OutletTarget;
  readonly #filtered: boolean;
  #held: HeaderList | undefined;
  #left: number | undefined;
  #changed = false;

  constructor(target: OutletTarget, filtered: boolean) {
    this.#target = target;
    this.#filtered = filtered;
  }

  /** A filter changed the body. */
  changed(): void {
    this.#changed = true;
  }

  head(headers: HeaderList, endOfStream: boolean): void {
    const declared = declaredLength(headers);
    if (declared === undefined && headers.has("content-length")) headers.remove("content-length");
    if (endOfStream || declared === undefined || !this.#filtered) {
      this.#target.head(headers, endOfStream);
      return;
    }
    this.#left = declared;
    this.#held = headers;
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    this.#release();
    if (this.#left !== undefined) {
      this.#left -= chunk.length;
      if (this.#left < 0 || (endOfStream && this.#left > 0)) {
        this.#left = undefined;
        this.#target.mismatched();
        return;
      }
    }
    this.#target.data(chunk, endOfStream);
  }

  trailers(trailers: HeaderList): void {
    this.#release();
    if (this.#left !== undefined && this.#left > 0) this.#target.mismatched();
    else this.#target.trailers(trailers);
  }

  #release(): void {
    const head = this.#held;
    if (head === undefined) return;
    this.#held = undefined;
    if (this.#changed) {
      head.remove("content-length");
      this.#left = undefined;
    }
    this.#target.head(head, false);
  }
}

/** The length that the head declares; undefined when it declares none, or not one that counts. */
export function declaredLength({ flat }: HeaderList): number | undefined {
  let value: string | undefined;
  for (let at = 0; at < flat.length; at += 2) {
    if (flat[at] !== "content-length") continue;
    if (value !== undefined) return undefined;
    value = flat[at + 1];
  }
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}
