import type { GrpcReply, GrpcStream, GrpcStreamReceiver, GrpcStreamRequest } from "../plugin/outside-calls.ts";
import { Status } from "./abi.ts";
import type { Callback } from "./guest-exports.ts";
import type { RootContext } from "./root-context.ts";
import type { Origin } from "./vm.ts";

/** Streams of one root context that may be open at once. */
const maxStreams = 128;
/** Bytes that the guest may have sent on one stream and the peer has not taken. */
const maxUnsentBytes = 4 << 20;
/** How many messages these may be: those without a byte take memory, too. What is short of some thousand is cheap to shift. */
const maxUnsentMessages = 4_096;
/** Bytes that all streams of one root context may keep so, with what a message takes beside its own. */
const maxUnsentBytesOfAll = 64 << 20;
const messageOverhead = 256;
/** What came on a stream and waits for its turn in a guest that suspends; from so many on the peer is held back. */
const maxUndelivered = 16;

type Pairs = GrpcReply["initialMetadata"];
const nothing: GrpcReply = { code: 0, details: "", initialMetadata: [], trailingMetadata: [] };

/** The gRPC streams that a root context has open, by their tokens. What comes is delivered to it. */
export class GrpcStreams {
  readonly #root: RootContext;
  readonly #streams = new Map<number, OpenStream>();
  readonly #unsent = { bytes: 0 };

  constructor(root: RootContext) {
    this.#root = root;
  }

  has(token: number): boolean {
    return this.#streams.has(token);
  }

  /** The token of the stream; undefined when too many are open. */
  open(upstream: string, request: GrpcStreamRequest): number | undefined {
    if (this.#streams.size >= maxStreams) return undefined;
    const token = this.#root.vm.tokens.forStream();
    const forget = (): boolean => this.#streams.delete(token);
    this.#streams.set(token, new OpenStream(this.#root, token, upstream, request, this.#unsent, forget));
    return token;
  }

  send(token: number, message: Uint8Array, isLast: boolean): Status {
    const stream = this.#streams.get(token);
    if (stream === undefined) return Status.NOT_FOUND;
    return stream.send(message, isLast);
  }

  /** No more messages come from the guest; false when there is no such stream. */
  close(token: number): boolean {
    const stream = this.#streams.get(token);
    stream?.close();
    return stream !== undefined;
  }

  /** Ends the stream, of which nothing is delivered any more; false when there is no such stream. */
  cancel(token: number): boolean {
    const stream = this.#streams.get(token);
    stream?.cancel();
    return stream !== undefined;
  }

  cancelAll(): void {
    for (const stream of [...this.#streams.values()]) stream.cancel();
  }
}

/** One stream. It is opened and written to on a stack of its own, never within the guest's hostcall. */
class OpenStream implements GrpcStreamReceiver {
  readonly #root: RootContext;
  readonly #token: number;
  readonly #forget: () => void;
  readonly #origin: Origin;
  #stream: GrpcStream | undefined;
  /** What all streams of the root context have not sent, overhead included. */
  readonly #unsentOfAll: { bytes: number };
  #unsent: { readonly message: Uint8Array | undefined; readonly isLast: boolean }[] = [];
  #unsentBytes = 0;
  #isHeldBack = false;
  #isClosed = false;
  #isOver = false;
  #undelivered = 0;

  constructor(
    root: RootContext,
    token: number,
    upstream: string,
    request: GrpcStreamRequest,
    unsentOfAll: { bytes: number },
    forget: () => void,
  ) {
    this.#root = root;
    this.#unsentOfAll = unsentOfAll;
    this.#token = token;
    this.#forget = forget;
    this.#origin = root.vm.origin;
    queueMicrotask(() => {
      if (this.#isOver) return;
      this.#stream = root.services.grpcStream(upstream, request, this, this.#origin.caller);
      this.#flush();
    });
  }

  send(message: Uint8Array, isLast: boolean): Status {
    if (this.#isClosed) return Status.BAD_ARGUMENT;
    if (!this.#hasRoomFor(message)) return Status.INTERNAL_FAILURE;
    this.#isClosed = isLast;
    this.#unsentBytes += message.byteLength;
    this.#unsentOfAll.bytes += message.byteLength + messageOverhead;
    this.#put({ message, isLast });
    return Status.OK;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#put({ message: undefined, isLast: true });
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#end();
    queueMicrotask(() => this.#stream?.cancel());
  }

  initialMetadata(metadata: Pairs): void {
    const { grpcReceiveInitialMetadata } = this.#root.vm.callbacks;
    this.#deliver(grpcReceiveInitialMetadata, metadata.length, { ...nothing, initialMetadata: metadata });
  }

  message(message: Uint8Array): void {
    this.#deliver(this.#root.vm.callbacks.grpcReceive, message.byteLength, { ...nothing, message });
  }

  drained(): void {
    this.#isHeldBack = false;
    this.#flush();
  }

  closed(code: number, details: string, trailingMetadata: Pairs): void {
    if (this.#isOver) return;
    const { grpcReceiveTrailingMetadata, grpcClose } = this.#root.vm.callbacks;
    const reply = { ...nothing, code, details, trailingMetadata };
    if (trailingMetadata.length > 0) this.#deliver(grpcReceiveTrailingMetadata, trailingMetadata.length, reply);
    this.#deliver(grpcClose, code, reply, true);
    if (grpcClose === undefined) this.#end();
  }

  #hasRoomFor({ byteLength }: Uint8Array): boolean {
    if (this.#unsent.length >= maxUnsentMessages || this.#unsentBytes + byteLength > maxUnsentBytes) return false;
    return this.#unsentOfAll.bytes + byteLength + messageOverhead <= maxUnsentBytesOfAll;
  }

  #put(item: { readonly message: Uint8Array | undefined; readonly isLast: boolean }): void {
    if (this.#unsent.push(item) === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    while (!this.#isHeldBack && !this.#isOver) {
      const next = this.#unsent.shift();
      if (next === undefined) return;
      const { message, isLast } = next;
      if (message === undefined) stream.end();
      else {
        this.#unsentBytes -= message.byteLength;
        this.#unsentOfAll.bytes -= message.byteLength + messageOverhead;
        this.#isHeldBack = !stream.send(message, isLast);
      }
    }
  }

  /** Shows it to the guest in its turn; `isLast` forgets the stream before that. */
  #deliver(callback: Callback | undefined, size: number, reply: GrpcReply, isLast = false): void {
    const root = this.#root;
    const { vm } = root;
    if (callback === undefined || this.#isOver) return;
    if (++this.#undelivered === maxUndelivered) this.#stream?.pause();
    vm.take(() => {
      if (this.#undelivered-- === maxUndelivered) this.#stream?.resume();
      if (this.#isOver) return undefined;
      if (isLast) this.#end();
      vm.reply = { protocol: "grpc", origin: this.#origin, message: reply };
      vm.status = { code: reply.code, message: reply.details };
      return vm.enter(root, callback, root.id, this.#token, size);
    });
  }

  #end(): void {
    this.#isOver = true;
    for (const { message } of this.#unsent)
      if (message !== undefined) this.#unsentOfAll.bytes -= message.byteLength + messageOverhead;
    this.#unsent = [];
    this.#forget();
  }
}
