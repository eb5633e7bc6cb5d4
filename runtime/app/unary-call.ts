import type { Client, Metadata, MethodDefinition, ServiceError } from "@grpc/grpc-js";

export interface UnaryCallOptions {
  readonly metadata: Metadata;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** One call of the application; rejects with grpc-js's ServiceError, CANCELLED when the signal aborts. */
export function unaryCall<Q, R>(
  client: Client,
  { path, requestSerialize, responseDeserialize }: MethodDefinition<Q, R>,
  request: Q,
  { metadata, timeoutMs, signal }: UnaryCallOptions,
): Promise<R> {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + timeoutMs;
    const done = (error: ServiceError | null, response?: R): void => {
      signal.removeEventListener("abort", cancel);
      if (response !== undefined && error === null) resolve(response);
      else reject(error ?? new Error(`${path} was answered without a message`));
    };
    const call = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      { deadline },
      done,
    );
    const cancel = (): void => call.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    if (signal.aborted) cancel();
  });
}
