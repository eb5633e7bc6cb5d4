import { Client, credentials, type Metadata, type ServiceError } from "@grpc/grpc-js";
import type { GrpcReply, GrpcRequest } from "../plugin/contract.ts";
import { metadataOf, pairsOf } from "./metadata-pairs.ts";

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
  usedAtMs: number;
  calls: number;
}

/** Unary gRPC calls of encoded messages to any address, over one channel an address. */
export class GrpcChannels implements AsyncDisposable {
  readonly #maxMessageBytes: number;
  readonly #channels = new Map<string, Channel>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#sweeper = setInterval(() => this.#closeIdle(Date.now() - idleMs), idleMs / 5).unref();
  }

  /** Never rejects for a gRPC reason: the reply's code tells, CANCELLED (1) when the signal aborted. */
  call(address: string, request: GrpcRequest, { signal, deadlineMs }: GrpcCallOptions): Promise<GrpcReply> {
    const channel = this.#channel(address);
    const path = `/${request.service}/${request.method}`;
    const bytes = Buffer.from(request.message.buffer, request.message.byteOffset, request.message.byteLength);
    channel.calls++;
    return new Promise<GrpcReply>((resolve) => {
      let initialMetadata: GrpcReply["initialMetadata"] = [];
      let trailingMetadata: GrpcReply["trailingMetadata"] = [];
      const done = (error: ServiceError | null, message?: Buffer): void => {
        signal.removeEventListener("abort", cancel);
        channel.calls--;
        channel.usedAtMs = Date.now();
        const code = error?.code ?? 0;
        const trailers = error?.metadata === undefined ? trailingMetadata : pairsOf(error.metadata);
        const reply = { code, details: error?.details ?? "", initialMetadata, trailingMetadata: trailers };
        resolve(code === 0 && message !== undefined ? { ...reply, message } : reply);
      };
      const options = deadlineMs === undefined ? {} : { deadline: deadlineMs };
      const call = channel.client.makeUnaryRequest(
        path,
        identity,
        identity,
        bytes,
        metadataOf(request.metadata),
        options,
        done,
      );
      call.on("metadata", (metadata: Metadata) => {
        initialMetadata = pairsOf(metadata);
      });
      call.on("status", ({ metadata }: { metadata: Metadata }) => {
        trailingMetadata = pairsOf(metadata);
      });
      const cancel = (): void => call.cancel();
      if (signal.aborted) cancel();
      else signal.addEventListener("abort", cancel, { once: true });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeper);
    for (const { client } of this.#channels.values()) client.close();
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
    });
    const channel = { client, usedAtMs: Date.now(), calls: 0 };
    this.#channels.set(address, channel);
    return channel;
  }

  /** Closes channels that carry no call and were last used before that time. */
  #closeIdle(beforeMs: number): void {
    for (const [address, { client, calls, usedAtMs }] of this.#channels) {
      if (calls > 0 || usedAtMs > beforeMs) continue;
      client.close();
      this.#channels.delete(address);
    }
  }
}

const identity = (bytes: Buffer): Buffer => bytes;
