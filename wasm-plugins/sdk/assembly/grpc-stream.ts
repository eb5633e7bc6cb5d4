import { proxy_grpc_cancel, proxy_grpc_close, proxy_grpc_send, proxy_grpc_stream, proxy_set_effective_context } from "./abi";
import { AbiStatus, BufferType, MapType } from "./abi-types";
import { readBuffer } from "./body";
import { Context, currentContext, enter } from "./context";
import { HeaderMap } from "./header-map";
import { encodePairs, Headers } from "./headers";
import { notSent } from "./http";
import { returnNumber } from "./memory";
import { Status, StatusCode, statusOf } from "./status";
import { encodeBuffer } from "./text";

const initialMetadata = new HeaderMap(MapType.GrpcCallInitialMetadata);
const trailingMetadata = new HeaderMap(MapType.GrpcCallTrailingMetadata);
const streams = new Map<u32, GrpcStream>();

/**
 * A gRPC stream to an upstream, of messages in both directions. Extend it, override what you want to be told of, and `open` it
 * from a callback; what comes is told as long as the context lives whose callback that was: the plugin (usually), or a
 * stream, with whose end it is cancelled.
 */
export abstract class GrpcStream {
  private id: u32 = 0;
  private owner: Context | null = null;

  /** The server's first metadata are there, to be read before this returns. */
  onInitialMetadata(metadata: HeaderMap): void {}
  /** A message of the server. */
  onMessage(message: Uint8Array): void {}
  /** The server's last metadata are there, to be read before this returns. */
  onTrailingMetadata(metadata: HeaderMap): void {}
  /** The stream ended: with OK, or why it broke. Nothing is told after this, and nothing can be sent. */
  onClose(status: Status): void {}

  /** Whether it was opened and has not ended. */
  get isOpen(): bool {
    return this.owner !== null;
  }

  /**
   * Opens it; what happens later is told to the callbacks. NOT_FOUND at once when the upstream does not exist or is not granted,
   * INTERNAL when too many streams are open, FAILED_PRECONDITION when this one is.
   */
  open(upstream: string, service: string, method: string, metadata: Headers = new Headers()): Status {
    if (this.isOpen) return new Status(StatusCode.FailedPrecondition, "the stream is open already");
    const owner = currentContext();
    const name = encodeBuffer(upstream);
    const serviceName = encodeBuffer(service);
    const methodName = encodeBuffer(method);
    const pairs = encodePairs(metadata);
    const answer = proxy_grpc_stream(
      changetype<usize>(name), name.byteLength,
      changetype<usize>(serviceName), serviceName.byteLength,
      changetype<usize>(methodName), methodName.byteLength,
      changetype<usize>(pairs), pairs.byteLength,
      returnNumber,
    );
    if (answer != AbiStatus.Ok) return notSent(answer, upstream);
    this.id = load<u32>(returnNumber);
    this.owner = owner;
    owner.calls++;
    streams.set(this.id, this);
    return new Status(StatusCode.Ok, "");
  }

  /**
   * Sends a message; `isLast` says that no other follows. NOT_FOUND when the stream is not open, INVALID_ARGUMENT after the last
   * message, INTERNAL when the host holds too much that the server did not take yet.
   */
  send(message: Uint8Array, isLast: bool = false): Status {
    if (!this.isOpen) return new Status(StatusCode.NotFound, "the stream is not open");
    return statusOf(proxy_grpc_send(this.id, message.dataStart, message.byteLength, isLast ? 1 : 0), "gRPC stream");
  }

  /** Says that no message follows; the server may still send. */
  close(): void {
    if (this.isOpen) proxy_grpc_close(this.id);
  }

  /** Breaks it off. Nothing is told any more, `onClose` neither. */
  cancel(): void {
    if (!this.isOpen) return;
    proxy_grpc_cancel(this.id);
    this.forget();
  }

  private forget(): void {
    const owner = this.owner;
    if (owner !== null) owner.calls--;
    this.owner = null;
    streams.delete(this.id);
  }

  /** Lets a callback act on the context that opened the stream. For the library only. */
  static enter(pluginId: u32, id: u32): GrpcStream | null {
    if (!streams.has(id)) return null;
    const stream = streams.get(id);
    const owner = stream.owner!;
    enter(owner);
    if (owner.id != pluginId) owner.use();
    return stream;
  }

  /** Tells that it ended. For the library only. */
  ended(status: Status): void {
    this.forget();
    this.onClose(status);
  }

  /** Cancels the streams of a context that goes. For the library only. */
  static cancelThoseOf(owner: Context): void {
    const open = streams.values();
    for (let i = 0; i < open.length; i++) if (open[i].owner === owner) open[i].cancel();
  }
}

/** The host's word that the first metadata of a stream are there. */
export function grpcInitialMetadataReceived(pluginId: u32, id: u32): void {
  const stream = GrpcStream.enter(pluginId, id);
  if (stream === null) return;
  stream.onInitialMetadata(initialMetadata);
  proxy_set_effective_context(pluginId);
}

/** The host's word that a message of a stream is there; false when the id is none of a stream. */
export function grpcStreamReceived(pluginId: u32, id: u32): bool {
  const stream = GrpcStream.enter(pluginId, id);
  if (stream === null) return false;
  stream.onMessage(Uint8Array.wrap(readBuffer(BufferType.GrpcCallMessage)));
  proxy_set_effective_context(pluginId);
  return true;
}

/** The host's word that the last metadata of a stream are there. */
export function grpcTrailingMetadataReceived(pluginId: u32, id: u32): void {
  const stream = GrpcStream.enter(pluginId, id);
  if (stream === null) return;
  stream.onTrailingMetadata(trailingMetadata);
  proxy_set_effective_context(pluginId);
}

/** The host's word that a stream ended; false when the id is none of a stream. */
export function grpcStreamClosed(pluginId: u32, id: u32, status: Status): bool {
  const stream = GrpcStream.enter(pluginId, id);
  if (stream === null) return false;
  stream.ended(status);
  proxy_set_effective_context(pluginId);
  return true;
}
