import { RuntimeError } from "../../components/error.ts";
import type { HttpMessage } from "../plugin/outside-calls.ts";
import { ChunkedBody } from "../proxy/body-buffer.ts";
import type { Failure, Handler } from "../proxy/exchange.ts";
import { faultOfFields, faultOfRequest, HeaderList } from "../proxy/headers.ts";
import { cleanTrailers, removeHopByHop } from "../proxy/hop-by-hop.ts";

/** Makes one whole request of an exchange and collects its whole answer, of at most `maxBytes`. */
export function callOnce(
  handler: Handler,
  request: HttpMessage,
  signal: AbortSignal,
  maxBytes: number,
): Promise<HttpMessage> {
  const { headers, trailers } = messageOf(request);
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(aborted(signal));
      return;
    }
    let head: HeaderList | undefined;
    const body = new ChunkedBody();
    const settle = (done: () => void) => {
      signal.removeEventListener("abort", abort);
      done();
    };
    const stop = (error: Error) =>
      settle(() => {
        sink.reset();
        reject(error);
      });
    const abort = () => stop(aborted(signal));
    const finish = (end: HeaderList | undefined) =>
      settle(() => {
        resolve({
          headers: head?.entries() ?? [],
          body: body.read(0, body.length),
          trailers: end?.entries() ?? [],
        });
      });
    const hasBody = request.body.length > 0 || trailers.size > 0;
    signal.addEventListener("abort", abort, { once: true });
    const sink = handler(headers, !hasBody, {
      head: (received, endOfStream) => {
        head = received;
        if (endOfStream) finish(undefined);
      },
      data: (chunk, endOfStream) => {
        body.append(chunk);
        if (body.length > maxBytes) stop(tooLarge(maxBytes));
        else if (endOfStream) finish(undefined);
      },
      trailers: finish,
      reset: (failure) => settle(() => reject(unavailable(failure))),
      pause: () => undefined,
      resume: () => undefined,
    });
    if (!hasBody) return;
    if (request.body.length > 0) sink.data(request.body, trailers.size === 0);
    if (trailers.size > 0) sink.trailers(trailers);
  });
}

function messageOf(request: HttpMessage): { headers: HeaderList; trailers: HeaderList } {
  const headers = HeaderList.of([]);
  headers.replaceAll(request.headers);
  removeHopByHop(headers);
  headers.remove("content-length");
  const host = headers.get("host");
  if (host !== undefined && !headers.has(":authority")) headers.set(":authority", host);
  headers.remove("host");
  const trailers = HeaderList.of([]);
  trailers.replaceAll(request.trailers);
  cleanTrailers(trailers);
  const fault = faultOfRequest(headers) ?? faultOfFields(trailers);
  if (fault !== undefined) {
    throw new RuntimeError("INVALID_ARGUMENT", "HTTP_REQUEST_INVALID", `the HTTP request cannot be sent: ${fault}`);
  }
  if (request.trailers.length === 0 && request.body.length > 0)
    headers.set("content-length", String(request.body.length));
  return { headers, trailers };
}

function aborted(signal: AbortSignal): RuntimeError {
  const timedOut = signal.reason instanceof Error && signal.reason.name === "TimeoutError";
  return timedOut
    ? new RuntimeError("DEADLINE_EXCEEDED", "HTTP_CALL_TIMEOUT", "the HTTP call took longer than its deadline")
    : new RuntimeError("CANCELLED", "HTTP_CALL_CANCELLED", "the HTTP call was cancelled", { cause: signal.reason });
}

function tooLarge(maxBytes: number): RuntimeError {
  return new RuntimeError("RESOURCE_EXHAUSTED", "HTTP_ANSWER_TOO_LARGE", `the answer exceeds ${maxBytes} bytes`);
}

function unavailable(failure: Failure): RuntimeError {
  return new RuntimeError("UNAVAILABLE", "UPSTREAM_UNAVAILABLE", failure.message);
}
