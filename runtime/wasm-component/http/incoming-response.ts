import { payForCall } from "../charge.ts";
import { holdReceived, letGo } from "../held-bytes.ts";
import type { GuestHost } from "../provider.ts";
import { Pollable } from "../wasi/pollable.ts";
import type { Waitable } from "../wasi/waiting.ts";
import type { ErrorCode } from "./error-code.ts";
import { type Field, Fields } from "./fields.ts";
import type { BodyFeed } from "./incoming-body.ts";
import { IncomingMessage } from "./incoming-message.ts";

/** The resource `wasi:http/types.incoming-response`. */
export class IncomingResponse extends IncomingMessage {
  readonly #head: readonly Field[];
  #held = 0;

  constructor(host: GuestHost, head: readonly Field[], feed: BodyFeed) {
    super(host, feed);
    this.#head = head;
    for (const [name, value] of head) this.#held += name.length + value.length;
    holdReceived(host, this.#held);
  }

  status(): number {
    return Number(this.#head.find(([name]) => name === ":status")?.[1]);
  }

  headers(): Fields {
    return Fields.received(this.host, this.#head);
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    letGo(this.host, this.#held);
    this.#held = 0;
  }
}

type Outcome =
  | { readonly tag: "ok"; readonly val: IncomingResponse }
  | { readonly tag: "err"; readonly val: ErrorCode };

/** The resource `wasi:http/types.future-incoming-response`. */
export class FutureIncomingResponse implements Waitable, Disposable {
  waiter: Waitable["waiter"];
  readonly #host: GuestHost;
  readonly #unwanted: () => void;
  #outcome: Outcome | undefined;
  #isTaken = false;

  /** `unwanted` is called when the guest lets go of it before it has taken the response. */
  constructor(host: GuestHost, unwanted: () => void) {
    this.#host = host;
    this.#unwanted = unwanted;
  }

  subscribe(): Pollable {
    return new Pollable(this.#host, this);
  }

  get(): unknown {
    payForCall(this.#host);
    if (this.#outcome === undefined) return undefined;
    if (this.#isTaken) return { tag: "err" };
    this.#isTaken = true;
    return { tag: "ok", val: this.#outcome };
  }

  get isReady(): boolean {
    return this.#outcome !== undefined;
  }

  settle(outcome: Outcome): void {
    this.#outcome ??= outcome;
    this.waiter?.wake();
  }

  [Symbol.dispose](): void {
    if (this.#isTaken) return;
    this.#unwanted();
    if (this.#outcome?.tag === "ok") this.#outcome.val[Symbol.dispose]();
  }
}
