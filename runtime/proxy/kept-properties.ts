/** Most that the filters of one stream or connection may keep, in bytes. */
const maxBytes = 1024 ** 2;

/** What filters keep for each other with `setProperty`. */
export class KeptProperties {
  readonly #values = new Map<string, Uint8Array>();
  #bytes = 0;

  /** Keeps a copy of the value; false when that would be more than 1 MiB in all. */
  set(path: readonly string[], value: Uint8Array): boolean {
    const key = path.join("\0");
    const bytes = this.#bytes - (this.#values.get(key)?.length ?? -key.length) + value.length;
    if (bytes > maxBytes) return false;
    this.#bytes = bytes;
    this.#values.set(key, Uint8Array.from(value));
    return true;
  }

  get(path: readonly string[]): Uint8Array | undefined {
    return this.#values.get(path.join("\0"));
  }
}
