import type { HeaderMap } from "../../plugin/contract.ts";
import type { GuestHost } from "../provider.ts";
import { payForCall } from "../wasi/charge.ts";
import { Fields } from "./fields.ts";
import { type BodyFeed, IncomingBody } from "./incoming-body.ts";
import { type Method, methodOf, type Scheme, schemeOf } from "./method.ts";

/** The resource `wasi:http/types.incoming-request`: looks at the head as it is in the data plane. */
export class IncomingRequest implements Disposable {
  readonly #host: GuestHost;
  readonly #head: HeaderMap;
  readonly #feed: BodyFeed;
  #isConsumed = false;

  constructor(host: GuestHost, head: HeaderMap, feed: BodyFeed) {
    this.#host = host;
    this.#head = head;
    this.#feed = feed;
  }

  method(): Method {
    payForCall(this.#host);
    return methodOf(this.#head.get(":method") ?? "GET");
  }

  pathWithQuery(): string | undefined {
    payForCall(this.#host);
    return this.#head.get(":path");
  }

  scheme(): Scheme | undefined {
    payForCall(this.#host);
    const scheme = this.#head.get(":scheme");
    return scheme === undefined ? undefined : schemeOf(scheme);
  }

  authority(): string | undefined {
    payForCall(this.#host);
    return this.#head.get(":authority");
  }

  headers(): Fields {
    return Fields.received(this.#host, this.#head.entries());
  }

  consume(): IncomingBody {
    payForCall(this.#host);
    if (this.#isConsumed) throw undefined;
    this.#isConsumed = true;
    return new IncomingBody(this.#host, this.#feed);
  }

  [Symbol.dispose](): void {
    if (!this.#isConsumed) this.#feed.unwanted();
  }
}
