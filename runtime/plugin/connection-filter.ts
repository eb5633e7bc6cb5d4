import type { BodyBuffer, FilterAction, PropertyValue } from "./contract.ts";
import type { PluginError } from "./plugin-error.ts";

/** Where the bytes of a TCP connection come from: the client, or the upstream. */
export type ConnectionSide = "downstream" | "upstream";
/** Who ended a connection: this process, or the peer. */
export type ClosingPeer = "local" | "remote";

/** What a TCP connection of the data plane offers the filter that runs on it. Calls after its end have no effect. */
export interface ConnectionHost {
  /** The bytes that came from that side, or undefined unless they are shown or held. */
  data(side: ConnectionSide): BodyBuffer | undefined;
  /** Goes on with what the filter paused; `downstream` is also the side of a new connection. No effect when it is not paused. */
  resume(side: ConnectionSide): void;
  /** Tells how a callback ended that had answered `suspended`. */
  settle(action: "continue" | "pause"): void;
  /** Ends the connection on both sides, once what was passed on has been sent. */
  close(side: ConnectionSide): void;
  /** The filter cannot go on: its fail policy decides. Nothing of it is called afterwards. */
  failed(error: PluginError): void;
  /** An attribute of the connection, such as `source\0address`; undefined when unknown. */
  property(path: readonly string[]): PropertyValue | undefined;
  /** Keeps a value that every filter of the same connection reads from then on; false when there is no more room for it. */
  setProperty(path: readonly string[], value: Uint8Array): boolean;
}

/**
 * One TCP connection in one guest. `newConnection` comes first; a pause there holds back the upstream, not the data. Each side
 * is closed at most once. `end` comes exactly once, last (unless the host was told `failed`), and lets the guest log and forget.
 */
export interface ConnectionFilter {
  newConnection(): FilterAction;
  downstreamData(endOfStream: boolean): FilterAction;
  upstreamData(endOfStream: boolean): FilterAction;
  downstreamClose(peer: ClosingPeer): void;
  upstreamClose(peer: ClosingPeer): void;
  end(): void;
}
