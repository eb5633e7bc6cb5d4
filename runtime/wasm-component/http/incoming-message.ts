import { payForCall } from "../charge.ts";
import type { GuestHost } from "../provider.ts";
import { type BodyFeed, IncomingBody } from "./incoming-body.ts";

/** A message that came in, of which a guest may take the body, once. */
export abstract class IncomingMessage implements Disposable {
  protected readonly host: GuestHost;
  readonly #feed: BodyFeed;
  #isConsumed = false;

  constructor(host: GuestHost, feed: BodyFeed) {
    this.host = host;
    this.#feed = feed;
  }

  consume(): IncomingBody {
    payForCall(this.host);
    if (this.#isConsumed) throw undefined;
    this.#isConsumed = true;
    return new IncomingBody(this.host, this.#feed);
  }

  /** A body that nobody took is unwanted. */
  [Symbol.dispose](): void {
    if (!this.#isConsumed) this.#feed.unwanted();
  }
}
