import type { HeaderBlock } from "./header-block.ts";
import type { Stream } from "./stream.ts";

/** What differs between the two ends of a connection. */
export interface Role {
  readonly isServer: boolean;
  /**
   * A field section for a stream that is not open. `block` is undefined when it was larger than the limits. Throws
   * ConnectionError when the identifier is not allowed.
   */
  opened(id: number, block: HeaderBlock | undefined, endStream: boolean): void;
  /** The first section of a stream whose final head has not come, on a client. */
  headed(stream: Stream, block: HeaderBlock, endStream: boolean): void;
  /** Whether the identifier belongs to a stream that nobody has begun. */
  isIdle(id: number): boolean;
  settingsCame(maxConcurrentStreams: number): void;
  /** The last stream of the peer that was or may be worked on, for GOAWAY. */
  readonly lastPeerStreamId: number;
  /** No more streams are taken or begun. */
  drained(): void;
  /** GOAWAY came: the peer took no stream above `lastStreamId`. */
  goneAway(lastStreamId: number, code: number): void;
  /** A stream is over. */
  streamClosed(): void;
  closed(fault: Error | undefined): void;
  /** A receiver threw. */
  threw(error: unknown): void;
}
