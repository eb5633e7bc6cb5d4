import { payForCall } from "../charge.ts";
import type { GuestHost } from "../provider.ts";
import { OutputStream } from "../wasi/output-stream.ts";
import { BodyFlow } from "./body-flow.ts";
import type { Field, Fields } from "./fields.ts";

/** The resource `wasi:http/types.outgoing-body`. */
export class OutgoingBody implements Disposable {
  readonly flow: BodyFlow;
  readonly #host: GuestHost;
  #isStreamed = false;

  constructor(host: GuestHost, message: "request" | "response", length: number | undefined) {
    payForCall(host);
    this.#host = host;
    this.flow = new BodyFlow(host, message, length);
  }

  write(): OutputStream {
    payForCall(this.#host);
    if (this.#isStreamed) throw undefined;
    this.#isStreamed = true;
    return new OutputStream(this.#host, this.flow);
  }

  static finish(body: OutgoingBody, trailers: Fields | undefined): void {
    payForCall(body.#host);
    const fields: Field[] = [];
    trailers?.addTo(fields);
    body.flow.finish(fields);
  }

  [Symbol.dispose](): void {
    this.flow.abandon();
  }
}
