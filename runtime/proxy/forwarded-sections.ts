/** Sections of a response, and trailers, as they pass from one HTTP/2 connection to another: the same block where it can. */

import { isConnectionField } from "../http1/connection-fields.ts";
import { HeaderBlock } from "../http2/header-block.ts";
import { HeaderList } from "./headers.ts";
import { cleanTrailers } from "./hop-by-hop.ts";

/** What passes of the head of a response. */
export interface PassedHead {
  readonly block: HeaderBlock;
  readonly status: number;
  readonly isInterim: boolean;
}

class HeadNote implements PassedHead {
  readonly block: HeaderBlock;
  readonly status: number;
  readonly isInterim: boolean;

  constructor(block: HeaderBlock) {
    const status = Number(block.flat[1] ?? 0);
    this.block = withoutHopByHop(block);
    this.status = status;
    this.isInterim = status >= 100 && status < 200;
  }
}

class TrailersNote {
  readonly block: HeaderBlock;

  constructor(block: HeaderBlock) {
    const list = HeaderList.ofFlat(block.flat);
    cleanTrailers(list);
    this.block = list.changed ? new HeaderBlock(list.flat, block.sensitive) : block;
  }
}

/** The head of a response without what belonged to its connection. */
export function passedHead(block: HeaderBlock): PassedHead {
  const { note } = block;
  if (note instanceof HeadNote) return note;
  const passed = new HeadNote(block);
  block.note = passed;
  return passed;
}

/** Trailers without what only a head may say. */
export function passedTrailers(block: HeaderBlock): HeaderBlock {
  const { note } = block;
  if (note instanceof TrailersNote) return note.block;
  const passed = new TrailersNote(block);
  block.note = passed;
  return passed.block;
}

function withoutHopByHop(block: HeaderBlock): HeaderBlock {
  const { flat } = block;
  const fields: string[] = [];
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    if (!isConnectionField(name)) fields.push(name, flat[at + 1] ?? "");
  }
  return fields.length === flat.length ? block : new HeaderBlock(fields, block.sensitive);
}
