/** Streams of one direction over grpc-js: what is sent or read waits for the other side. */
import { once } from "node:events";
import type { ClientReadableStream, ClientWritableStream } from "@grpc/grpc-js";
import type { CallOptions } from "./channel.ts";
import { cancelled, errorOf } from "./error.ts";

interface NamedCall extends CallOptions {
  /** Name of the method, for errors. */
  readonly method: string;
}

/** The messages as they come; leaving the loop or the signal ends the call. */
export async function* readAll<R>(
  open: () => ClientReadableStream<R>,
  { method, signal }: NamedCall,
): AsyncGenerator<R, void> {
  if (signal?.aborted) throw cancelled(method, signal);
  const stream = open();
  const abort = (): void => stream.cancel();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    for await (const message of stream) yield message;
  } catch (error) {
    throw signal?.aborted ? cancelled(method, signal) : errorOf(error, method);
  } finally {
    signal?.removeEventListener("abort", abort);
    stream.on("error", () => undefined).cancel();
  }
}

/** Sends the messages until the runtime answers; what could not be made of them cancels the call. */
export async function writeAll<Q, R>(
  open: (done: (error: Error | null, response?: R) => void) => ClientWritableStream<Q>,
  messages: AsyncIterable<Q>,
  { method, signal }: NamedCall,
): Promise<R> {
  if (signal?.aborted) throw cancelled(method, signal);
  const answered = Promise.withResolvers<R>();
  const over = new AbortController();
  const stream = open((error, response) => {
    if (error === null && response !== undefined) answered.resolve(response);
    else
      answered.reject(signal?.aborted ? cancelled(method, signal) : errorOf(error ?? "there was no response", method));
    over.abort();
  });
  answered.promise.catch(() => undefined);
  const abort = (): void => stream.cancel();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    await send(stream, messages, over.signal);
    return await answered.promise;
  } catch (error) {
    stream.cancel();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** Resolves when all has been sent, or the call is over and nothing more need be. */
async function send<Q>(stream: ClientWritableStream<Q>, messages: AsyncIterable<Q>, over: AbortSignal): Promise<void> {
  const iterator = messages[Symbol.asyncIterator]();
  const ended = Promise.withResolvers<undefined>();
  const end = (): void => ended.resolve(undefined);
  over.addEventListener("abort", end, { once: true });
  if (over.aborted) end();
  try {
    while (!over.aborted) {
      const next = await Promise.race([iterator.next(), ended.promise]);
      if (next === undefined) break;
      if (next.done === true) {
        stream.end();
        return;
      }
      if (!stream.write(next.value)) await Promise.race([once(stream, "drain").catch(() => undefined), ended.promise]);
    }
  } finally {
    over.removeEventListener("abort", end);
    // Who waits for a source that never goes on would wait for ever.
    void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}
