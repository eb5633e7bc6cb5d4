import {
  Client,
  type ClientUnaryCall,
  credentials,
  type Metadata,
  type ServiceError,
  type StatusObject,
  status,
} from "@grpc/grpc-js";
import type { GrpcReply, GrpcRequest } from "../plugin/contract.ts";
import { metadataOf, pairsOf } from "./metadata-pairs.ts";
import { asRuntimeError, statusCodeOf } from "./status.ts";

export interface GrpcCallOptions {
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch; travels to the server as its deadline. */
  readonly deadlineMs?: number | undefined;
}

/** A channel that nothing used for this long is closed. */
const idleMs = 5 * 60_000;
const maxChannels = 256;

interface Channel {
  readonly client: Client;
  readonly calls: Set<ClientUnaryCall>;
  usedAtMs: number;
}

/** Unary gRPC calls of encoded messages to any address, over one channel an address. Disposing cancels what is in flight. */
export class GrpcChannels implements AsyncDisposable {
  readonly #maxMessageBytes: number;
  readonly #channels = new Map<string, Channel>();
  readonly #sweeper: NodeJS.Timeout;
  #isClosed = false;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#sweeper = setInterval(() => this.#closeIdle(Date.now() - idleMs), idleMs / 5).unref();
  }

  /** Never rejects: the reply's code tells, CANCELLED (1) when the signal aborted. */
  async call(address: string, request: GrpcRequest, options: GrpcCallOptions): Promise<GrpcReply> {
    if (options.signal.aborted || this.#isClosed) return failed(status.CANCELLED, "the call was cancelled");
    try {
      const metadata = metadataOf(request.metadata);
      return await send(this.#channel(address), request, metadata, options);
    } catch (error) {
      const { code, message } = asRuntimeError(error);
      return failed(statusCodeOf(code), message);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#sweeper);
    for (const { client, calls } of this.#channels.values()) {
      for (const call of calls) call.cancel();
      client.close();
    }
    this.#channels.clear();
  }

  #channel(address: string): Channel {
    const known = this.#channels.get(address);
    if (known !== undefined) return known;
    if (this.#channels.size >= maxChannels) this.#closeIdle(Date.now());
    const client = new Client(address, credentials.createInsecure(), {
      "grpc.max_receive_message_length": this.#maxMessageBytes,
      "grpc.max_send_message_length": this.#maxMessageBytes,
      "grpc.initial_reconnect_backoff_ms": 200,
      "grpc.max_reconnect_backoff_ms": 5_000,
      // Finds connections that died without a word. Servers in Go refuse pings that come more often than every 5 minutes.
      "grpc.keepalive_time_ms": 310_000,
      "grpc.keepalive_timeout_ms": 20_000,
    });
    const channel = { client, usedAtMs: Date.now(), calls: new Set<ClientUnaryCall>() };
    this.#channels.set(address, channel);
    return channel;
  }

  /** Closes channels that carry no call and were last used before that time. */
  #closeIdle(beforeMs: number): void {
    for (const [address, { client, calls, usedAtMs }] of this.#channels) {
      if (calls.size > 0 || usedAtMs > beforeMs) continue;
      client.close();
      this.#channels.delete(address);
    }
  }
}

function send(
  channel: Channel,
  { service, method, message }: GrpcRequest,
  metadata: Metadata,
  { signal, deadlineMs }: GrpcCallOptions,
): Promise<GrpcReply> {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  return new Promise((resolve) => {
    let initialMetadata: GrpcReply["initialMetadata"] = [];
    let outcome: Omit<GrpcReply, "initialMetadata" | "trailingMetadata"> = { code: status.UNKNOWN, details: "" };
    const cancel = (): void => call.cancel();
    const answered = (error: ServiceError | null, response?: Buffer): void => {
      if (error !== null) outcome = { code: error.code, details: error.details };
      else if (response !== undefined) outcome = { code: status.OK, details: "", message: response };
    };
    const options = deadlineMs === undefined ? {} : { deadline: deadlineMs };
    const path = `/${service}/${method}`;
    const call = channel.client.makeUnaryRequest(path, identity, identity, bytes, metadata, options, answered);
    channel.calls.add(call);
    call.on("metadata", (received: Metadata) => {
      initialMetadata = pairsOf(received);
    });
    // It follows `answered`, and alone has the trailers of a success.
    call.on("status", ({ metadata: received }: StatusObject) => {
      signal.removeEventListener("abort", cancel);
      channel.calls.delete(call);
      channel.usedAtMs = Date.now();
      resolve({ ...outcome, initialMetadata, trailingMetadata: pairsOf(received) });
    });
    signal.addEventListener("abort", cancel, { once: true });
  });
}

const failed = (code: number, details: string): GrpcReply => ({
  code,
  details,
  initialMetadata: [],
  trailingMetadata: [],
});
const identity = (bytes: Buffer): Buffer => bytes;
