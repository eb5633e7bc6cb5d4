import { messageOf } from "../../components/thrown.ts";
import type {
  GrpcReply,
  GrpcRequest,
  GrpcStream,
  GrpcStreamReceiver,
  GrpcStreamRequest,
} from "../plugin/outside-calls.ts";
import type { AnswerSection } from "./answer-section.ts";
import type { CallStatus } from "./call-status.ts";
import type { CallReceiver } from "./client-call.ts";
import { type CallOptions, type CallRequester, GrpcChannel } from "./client-channel.ts";
import { statusCode } from "./status-code.ts";

export interface GrpcCallOptions {
  readonly signal: AbortSignal;
  /** Travels to the server as the deadline; default: without end. */
  readonly timeoutMs?: number | undefined;
  /** Takes the call to the server; default a connection to the address. */
  readonly through?: CallRequester | undefined;
}

/** A channel that nothing used for this long is closed. */
const idleMs = 5 * 60_000;
const maxChannels = 256;

interface KeptChannel {
  readonly channel: GrpcChannel;
  usedAtMs: number;
}

/** gRPC calls and streams of encoded messages to any address, over one channel an address. Disposing ends what is in flight. */
export class GrpcChannels implements AsyncDisposable {
  readonly #maxMessageBytes: number;
  readonly #channels = new Map<string, KeptChannel>();
  readonly #sweeper: NodeJS.Timeout;
  #isClosed = false;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#sweeper = setInterval(() => this.#closeIdle(performance.now() - idleMs), idleMs / 5).unref();
  }

  /** Never rejects: the reply's code tells, CANCELLED (1) when the signal aborted. */
  async call(
    address: string,
    { service, method, metadata, message }: GrpcRequest,
    { signal, timeoutMs, through }: GrpcCallOptions,
  ): Promise<GrpcReply> {
    if (this.#isClosed) return failed(statusCode.CANCELLED, "the call was cancelled: the sidecar closes");
    let kept: KeptChannel;
    try {
      kept = this.#channel(address);
    } catch (error) {
      return failed(statusCode.UNAVAILABLE, messageOf(error));
    }
    const options: CallOptions = { metadata, signal, timeoutMs, through };
    const answer = await kept.channel.unary(`/${service}/${method}`, message, options);
    kept.usedAtMs = performance.now();
    const { status, head } = answer;
    return {
      code: status.code,
      details: status.code === statusCode.OK ? "" : status.message,
      initialMetadata: head?.metadata ?? [],
      trailingMetadata: status.trailers?.metadata ?? [],
      ...(answer.message === undefined ? {} : { message: answer.message }),
    };
  }

  /** Opens a stream. Never throws: the receiver hears of failures, though never within this. */
  stream(
    address: string,
    { service, method, metadata }: GrpcStreamRequest,
    receiver: GrpcStreamReceiver,
    through?: CallRequester,
  ): GrpcStream {
    try {
      if (this.#isClosed) throw new RangeError("the sidecar closes");
      const kept = this.#channel(address);
      kept.usedAtMs = performance.now();
      return kept.channel.call(`/${service}/${method}`, { metadata, through }, new StreamEvents(receiver));
    } catch (error) {
      return refusedStream(statusCode.UNAVAILABLE, messageOf(error), receiver);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#sweeper);
    const kept = [...this.#channels.values()];
    this.#channels.clear();
    await Promise.all(kept.map(({ channel }) => channel[Symbol.asyncDispose]()));
  }

  #channel(address: string): KeptChannel {
    const known = this.#channels.get(address);
    if (known !== undefined) return known;
    if (this.#channels.size >= maxChannels) this.#closeIdle(performance.now());
    const channel = new GrpcChannel({ address, maxMessageBytes: this.#maxMessageBytes });
    const kept = { channel, usedAtMs: performance.now() };
    this.#channels.set(address, kept);
    return kept;
  }

  /** Closes channels that carry no call and were last used before that time. */
  #closeIdle(beforeMs: number): void {
    for (const [address, { channel, usedAtMs }] of this.#channels) {
      if (!channel.isIdle || usedAtMs > beforeMs) continue;
      this.#channels.delete(address);
      void channel[Symbol.asyncDispose]();
    }
  }
}

/** A call's events in the words of a plugin. */
class StreamEvents implements CallReceiver {
  readonly #receiver: GrpcStreamReceiver;

  constructor(receiver: GrpcStreamReceiver) {
    this.#receiver = receiver;
  }

  head({ metadata }: AnswerSection): void {
    this.#receiver.initialMetadata(metadata);
  }

  message(bytes: Buffer): void {
    this.#receiver.message(bytes);
  }

  drained(): void {
    this.#receiver.drained();
  }

  ended({ code, message, trailers }: CallStatus): void {
    const details = code === statusCode.OK ? "" : message;
    // A call may end before it has begun, and its caller does not have it yet.
    queueMicrotask(() => this.#receiver.closed(code, details, trailers?.metadata ?? []));
  }
}

const ignored = (): void => undefined;

/** A stream that ends as soon as its caller has it. */
export function refusedStream(code: number, details: string, receiver: GrpcStreamReceiver): GrpcStream {
  queueMicrotask(() => receiver.closed(code, details, []));
  return { send: () => true, end: ignored, cancel: ignored, pause: ignored, resume: ignored };
}

const failed = (code: number, details: string): GrpcReply => ({
  code,
  details,
  initialMetadata: [],
  trailingMetadata: [],
});
