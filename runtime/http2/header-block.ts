import type { SectionFacts } from "./message-rules.ts";

/**
 * A header or trailer section: name, value, name, value, … with names in lower case and pseudo-header fields first. It is
 * never changed: the decoder hands out one block for all sections with the same bytes, and a connection keeps its
 * encoding. Values hold octets as Latin-1, one character each.
 */
export class HeaderBlock {
  readonly flat: readonly string[];
  /** Names of fields that the peer wants in no compression table (RFC 7541, section 6.2.3): whoever forwards hands them on. */
  readonly sensitive: readonly string[] | undefined;
  /** What a reader of the fields wants to keep with them, so that it reads equal sections once: it owns the slot by convention. */
  note: unknown = undefined;
  /** What the connection found out about the section; kept by the connection. */
  facts: (SectionFacts & { readonly kind: string }) | undefined = undefined;
  /** The encoding by the encoder `encodedBy`, good while that encoder's table is in the state `encodedAt`; kept by the encoder. */
  encoded: Buffer | undefined = undefined;
  encodedBy: object | undefined = undefined;
  encodedAt = -1;
  /** The block that this one begins with, and whose encoding serves for that part. */
  base: HeaderBlock | undefined = undefined;

  constructor(flat: readonly string[], sensitive?: readonly string[] | undefined) {
    this.flat = flat;
    this.sensitive = sensitive;
  }

  /** From alternating names and values. */
  static of(...flat: readonly string[]): HeaderBlock {
    return new HeaderBlock(flat);
  }

  /**
   * A block that comes often, and behind it fields that differ each time (an id, a trace): only these are encoded anew, and
   * no compression table keeps them.
   */
  static extending(base: HeaderBlock, ...more: readonly string[]): HeaderBlock {
    const block = new HeaderBlock(base.flat.concat(more), base.sensitive);
    block.base = base;
    return block;
  }

  /** The first value of the name, given in lower case. */
  get(name: string): string | undefined {
    const { flat } = this;
    for (let at = 0; at < flat.length; at += 2) if (flat[at] === name) return flat[at + 1];
    return undefined;
  }
}
