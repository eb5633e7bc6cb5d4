import type { HeaderBlock } from "./header-block.ts";
import type { Stream } from "./stream.ts";

/** Octets that wait, or a field section behind them. */
export interface Queued {
  readonly block: HeaderBlock | undefined;
  readonly bytes: Uint8Array;
  start: number;
  readonly end: number;
  readonly endStream: boolean;
}

/** What a stream has sent and a closed window or a slow socket does not let go; and its place among those that wait. */
export class SendQueue {
  readonly stream: Stream;
  readonly items: Queued[] = [];
  /** Its owner holds back until everything has gone. */
  wantsDrained = false;
  /** Something has gone since somebody last looked. */
  hasMoved = true;
  isWaiting = false;
  before: SendQueue | undefined = undefined;
  behind: SendQueue | undefined = undefined;

  constructor(stream: Stream) {
    this.stream = stream;
  }
}
