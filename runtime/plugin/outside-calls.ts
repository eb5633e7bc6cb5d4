/** A message of HTTP as a guest sends or gets it outside its streams. */
export interface HttpMessage {
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
  readonly trailers: readonly (readonly [name: string, value: string])[];
}

export interface GrpcRequest {
  /** Full name, without a slash: `package.Service`. */
  readonly service: string;
  readonly method: string;
  readonly metadata: readonly (readonly [name: string, value: string])[];
  readonly message: Uint8Array;
}

/** `code` is a gRPC status code; `message` is the response message when it is 0, else absent. */
export interface GrpcReply {
  readonly code: number;
  readonly details: string;
  readonly initialMetadata: readonly (readonly [name: string, value: string])[];
  readonly message?: Uint8Array;
  readonly trailingMetadata: readonly (readonly [name: string, value: string])[];
}

export type GrpcStreamRequest = Omit<GrpcRequest, "message">;

/** What comes on a stream of gRPC, in order. Nothing comes within the call that opens it. */
export interface GrpcStreamReceiver {
  initialMetadata(metadata: GrpcReply["initialMetadata"]): void;
  message(message: Uint8Array): void;
  /** After a `send` that answered false: more is wanted. */
  drained(): void;
  /** The last call. */
  closed(code: number, details: string, trailingMetadata: GrpcReply["trailingMetadata"]): void;
}

/** A stream of gRPC as its caller writes to it. */
export interface GrpcStream {
  /** False when the caller should wait for `drained`. */
  send(message: Uint8Array, isLast: boolean): boolean;
  /** No more messages come from the caller. */
  end(): void;
  /** Ends the stream both ways. */
  cancel(): void;
  /** Holds the peer back. */
  pause(): void;
  resume(): void;
}
