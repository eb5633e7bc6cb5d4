/** Stream identifiers that the peer jumped over: they are closed without having been used (RFC 9113, section 5.1.1). */
export class SkippedIds {
  /** Pairs of first and last identifier. */
  readonly #ranges: number[] = [];

  /** The peer opens `id` after `last`. */
  opened(id: number, last: number): void {
    if (id <= last + 2 || (last === 0 && id <= 2)) return;
    this.#ranges.push(last + 1, id - 1);
    if (this.#ranges.length > 32) this.#ranges.splice(0, 2);
  }

  has(id: number): boolean {
    for (let at = 0; at < this.#ranges.length; at += 2) {
      if (id >= (this.#ranges[at] ?? 0) && id <= (this.#ranges[at + 1] ?? 0)) return true;
    }
    return false;
  }
}
