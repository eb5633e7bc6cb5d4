import type { RequestSink, ResponseSink } from "../proxy/exchange.ts";

/** A request to an upstream that cannot take any: its failure is told soon, and never within this. */
export function refusedRequest(response: ResponseSink, message: string): RequestSink {
  let isWanted = true;
  queueMicrotask(() => {
    if (isWanted) response.reset({ status: 503, details: "no_healthy_upstream", message, flag: "UH" });
  });
  const stop = () => {
    isWanted = false;
  };
  const ignore = () => undefined;
  return { data: ignore, trailers: ignore, reset: stop, pause: ignore, resume: ignore };
}
