import {
  Client,
  type ClientDuplexStream,
  credentials,
  type CallOptions as GrpcCallOptions,
  Metadata,
  type MethodDefinition,
} from "@grpc/grpc-js";
import { cancelled, errorOf, OutriggerError } from "./error.ts";
import { readAll, writeAll } from "./one-way-stream.ts";

/** What may be said with every call. */
export interface CallOptions {
  /** Cancels the call. */
  readonly signal?: AbortSignal;
  /** Longest wait for the answer in milliseconds, in place of the client's. */
  readonly timeoutMs?: number;
  /** Sent as gRPC metadata. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Where the runtime is, and how long to wait for it. */
export interface ChannelOptions {
  /** `host:port` or `unix:/path`; default OUTRIGGER_GRPC_ADDRESS, else 127.0.0.1:34904. */
  readonly address?: string;
  /** Longest wait for an answer in milliseconds; default 10,000. Streams have no limit. */
  readonly timeoutMs?: number;
  /** Largest message either way in bytes; default 4 MiB, which is the runtime's. */
  readonly maxMessageBytes?: number;
}

/** A connection to the runtime, made by the first call and made again when it is lost. */
export class Channel implements Disposable {
  readonly #client: Client;
  readonly #timeoutMs: number;

  constructor(options: ChannelOptions) {
    const address = options.address ?? process.env.OUTRIGGER_GRPC_ADDRESS ?? "127.0.0.1:34904";
    const maxBytes = options.maxMessageBytes ?? 4 * 1024 ** 2;
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.#client = new Client(address, credentials.createInsecure(), {
      "grpc.max_receive_message_length": maxBytes,
      "grpc.max_send_message_length": maxBytes,
      // The runtime lies on the same host: a proxy of the environment is never in between, and a restart is soon over.
      "grpc.enable_http_proxy": 0,
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 2_000,
    });
  }

  /** Resolves once the runtime accepts connections; rejects with DEADLINE_EXCEEDED after `timeoutMs`. */
  ready(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.waitForReady(Date.now() + timeoutMs, (cause) => {
        if (cause === undefined) resolve();
        else {
          const message = `the runtime did not accept a connection within ${timeoutMs} ms; is it running?`;
          reject(new OutriggerError("DEADLINE_EXCEEDED", "RUNTIME_UNREACHABLE", message, { cause }));
        }
      });
    });
  }

  /** `unlimited` leaves the time to the runtime unless the call's options limit it. */
  unary<Q, R>(
    method: MethodDefinition<Q, R>,
    request: Q,
    options: CallOptions = {},
    limit: "limited" | "unlimited" = "limited",
  ): Promise<R> {
    return new Promise((resolve, reject) => {
      const name = nameOf(method);
      const { signal } = options;
      if (signal?.aborted) {
        reject(cancelled(name, signal));
        return;
      }
      const timeoutMs = options.timeoutMs ?? (limit === "limited" ? this.#timeoutMs : undefined);
      const abort = (): void => call.cancel();
      const call = this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadataOf(options),
        deadlineOf(timeoutMs),
        (error, response) => {
          signal?.removeEventListener("abort", abort);
          if (error !== null) reject(signal?.aborted ? cancelled(name, signal) : errorOf(error, name));
          else if (response === undefined) reject(errorOf("there was no response", name));
          else resolve(response);
        },
      );
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  bidi<Q, R>(method: MethodDefinition<Q, R>, options: CallOptions = {}): ClientDuplexStream<Q, R> {
    return this.#client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      metadataOf(options),
      deadlineOf(options.timeoutMs),
    );
  }

  /** The responses as they come, each when it is asked for; leaving the loop ends the call. */
  serverStream<Q, R>(method: MethodDefinition<Q, R>, request: Q, options: CallOptions = {}): AsyncGenerator<R, void> {
    const { path, requestSerialize, responseDeserialize } = method;
    const deadline = deadlineOf(options.timeoutMs);
    const metadata = metadataOf(options);
    return readAll(
      () =>
        this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, metadata, deadline),
      { ...options, method: nameOf(method) },
    );
  }

  /** Sends the requests as the runtime takes them. When one cannot be made the call is cancelled, and this rejects with why. */
  clientStream<Q, R>(
    method: MethodDefinition<Q, R>,
    requests: AsyncIterable<Q>,
    options: CallOptions = {},
  ): Promise<R> {
    const { path, requestSerialize, responseDeserialize } = method;
    const deadline = deadlineOf(options.timeoutMs);
    const metadata = metadataOf(options);
    return writeAll<Q, R>(
      (done) =>
        this.#client.makeClientStreamRequest(path, requestSerialize, responseDeserialize, metadata, deadline, done),
      requests,
      { ...options, method: nameOf(method) },
    );
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** The name of a method without its service. */
export const nameOf = ({ path }: { readonly path: string }): string => path.slice(path.lastIndexOf("/") + 1);

function metadataOf({ metadata = {} }: CallOptions): Metadata {
  const sent = new Metadata();
  for (const [name, value] of Object.entries(metadata)) sent.set(name, value);
  return sent;
}

const deadlineOf = (timeoutMs: number | undefined): GrpcCallOptions =>
  timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
