import { HeaderBlock } from "../http2/header-block.ts";

const maxSections = 8;
/** Longer sections are not worth comparing, nor keeping. */
const maxCharacters = 2048;

/** The sections that were sent last over one connection or to one upstream: equal ones become the same block, encoded once. */
export class SectionMemo {
  readonly #blocks: HeaderBlock[] = [];
  #next = 0;

  /** A block of these fields, which nobody changes afterwards; `sensitive` names those for no compression table. */
  block(fields: readonly string[], sensitive: readonly string[] | undefined): HeaderBlock {
    if (sensitive !== undefined) return new HeaderBlock(fields, sensitive);
    for (const known of this.#blocks) if (areEqual(known.flat, fields)) return known;
    const block = new HeaderBlock(fields);
    if (fields.reduce((sum, text) => sum + text.length, 0) > maxCharacters) return block;
    this.#blocks[this.#next] = block;
    this.#next = (this.#next + 1) % maxSections;
    return block;
  }
}

function areEqual(some: readonly string[], others: readonly string[]): boolean {
  if (some.length !== others.length) return false;
  // What differs is mostly found at the end: fields that a client adds to each request.
  for (let at = some.length - 1; at >= 0; at -= 1) if (some[at] !== others[at]) return false;
  return true;
}
