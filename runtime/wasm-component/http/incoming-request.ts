import type { HeaderMap } from "../../plugin/contract.ts";
import { payForCall } from "../charge.ts";
import type { GuestHost } from "../provider.ts";
import { Fields } from "./fields.ts";
import type { BodyFeed } from "./incoming-body.ts";
import { IncomingMessage } from "./incoming-message.ts";
import { type Method, methodOf, type Scheme, schemeOf } from "./method.ts";

/** The resource `wasi:http/types.incoming-request`: looks at the head as it is in the data plane. */
export class IncomingRequest extends IncomingMessage {
  readonly #head: HeaderMap;

  constructor(host: GuestHost, head: HeaderMap, feed: BodyFeed) {
    super(host, feed);
    this.#head = head;
  }

  method(): Method {
    payForCall(this.host);
    return methodOf(this.#head.get(":method") ?? "GET");
  }

  pathWithQuery(): string | undefined {
    payForCall(this.host);
    return this.#head.get(":path");
  }

  scheme(): Scheme | undefined {
    payForCall(this.host);
    const scheme = this.#head.get(":scheme");
    return scheme === undefined ? undefined : schemeOf(scheme);
  }

  authority(): string | undefined {
    payForCall(this.host);
    return this.#head.get(":authority");
  }

  headers(): Fields {
    return Fields.received(this.host, this.#head.entries());
  }
}
