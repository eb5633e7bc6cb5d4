import type { HttpApi, HttpReceiver, HttpSender } from "../plugin/uniform-api.ts";
import { type Failure, noBytes, type RequestSink, type ResponseSink } from "../proxy/exchange.ts";
import { faultOfFields, faultOfRequest, HeaderList } from "../proxy/headers.ts";
import { cleanTrailers, removeHopByHop } from "../proxy/hop-by-hop.ts";
import type { Upstreams } from "./upstreams.ts";

type Fields = readonly (readonly [name: string, value: string])[];

/** Requests of one plugin to the upstreams that it was granted, both ways as they come. */
export function guestHttp(
  plugin: string,
  granted: readonly string[],
  upstreams: Pick<Upstreams, "names" | "handler">,
): HttpApi {
  const has = (upstream: string): boolean => granted.includes(upstream) && upstreams.names.includes(upstream);
  const caller = { plugin, caller: undefined };
  return {
    has,
    request: (upstream, fields, endOfStream, receiver) => {
      const headers = HeaderList.of([]);
      headers.replaceAll(fields);
      removeHopByHop(headers);
      const fault = has(upstream) ? faultOfRequest(headers) : `plugin '${plugin}' was not granted it`;
      if (fault !== undefined) {
        return refused(receiver, "request_refused", `the request to '${upstream}' cannot be sent: ${fault}`);
      }
      headers.settle();
      return new Sender(upstreams.handler(upstream, caller)(headers, endOfStream, new Receiver(receiver)));
    },
  };
}

function refused(receiver: HttpReceiver, details: string, message: string): HttpSender {
  let isWanted = true;
  queueMicrotask(() => {
    if (isWanted) receiver.failed(details, message);
  });
  const nothing = (): void => undefined;
  const cancel = (): void => {
    isWanted = false;
  };
  return { isConnected: false, data: nothing, trailers: nothing, cancel, pause: nothing, resume: nothing };
}

class Sender implements HttpSender {
  readonly #sink: RequestSink;

  constructor(sink: RequestSink) {
    this.#sink = sink;
  }

  get isConnected(): boolean {
    return this.#sink.facts?.localAddress !== undefined;
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    this.#sink.data(chunk, endOfStream);
  }

  trailers(fields: Fields): void {
    const trailers = HeaderList.of(fields);
    trailers.replaceAll(fields);
    cleanTrailers(trailers);
    if (trailers.size === 0 || faultOfFields(trailers) !== undefined) this.#sink.data(noBytes, true);
    else this.#sink.trailers(trailers);
  }

  cancel(): void {
    this.#sink.reset();
  }

  pause(): void {
    this.#sink.pause();
  }

  resume(): void {
    this.#sink.resume();
  }
}

/** Tells a guest's side of the answer. Interim heads are left out. */
class Receiver implements ResponseSink {
  readonly #receiver: HttpReceiver;

  constructor(receiver: HttpReceiver) {
    this.#receiver = receiver;
  }

  head(headers: HeaderList, endOfStream: boolean): void {
    this.#receiver.head(headers.entries(), endOfStream);
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    this.#receiver.data(chunk, endOfStream);
  }

  trailers(trailers: HeaderList): void {
    cleanTrailers(trailers);
    this.#receiver.trailers(trailers.entries());
  }

  reset({ details, message }: Failure): void {
    this.#receiver.failed(details, message);
  }

  pause(): void {
    this.#receiver.pause();
  }

  resume(): void {
    this.#receiver.resume();
  }
}
