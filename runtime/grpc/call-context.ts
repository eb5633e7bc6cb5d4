import type { CallContext, ComponentLog } from "../../components/component.ts";
import type { RuntimeError } from "../../components/error.ts";
import type { Http2Stream } from "../http2/stream-contract.ts";
import type { Pairs } from "./metadata-fields.ts";
import type { RequestHead } from "./request-head.ts";

/** What a call does for its context. */
export interface ContextOwner {
  sendMetadata(pairs: Pairs): void;
  setTrailingMetadata(pairs: Pairs): void;
}

/** The context of a call over HTTP/2. What it says is worked out when it is read: most handlers read little of it. */
export class ServedCallContext implements CallContext {
  readonly appId: string;
  readonly log: ComponentLog;
  readonly #owner: ContextOwner;
  readonly #stream: Http2Stream;
  readonly #head: RequestHead;
  /** Of performance.now. */
  readonly #beganAtMs: number;
  #controller: AbortController | undefined;
  #abortReason: RuntimeError | undefined;

  constructor(
    owner: ContextOwner,
    stream: Http2Stream,
    head: RequestHead,
    beganAtMs: number,
    appId: string,
    log: ComponentLog,
  ) {
    this.appId = appId;
    this.log = log;
    this.#owner = owner;
    this.#stream = stream;
    this.#head = head;
    this.#beganAtMs = beganAtMs;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  throwIfAborted(): void {
    if (this.#abortReason !== undefined) throw this.#abortReason;
  }

  get deadlineMs(): number | undefined {
    const { timeoutMs } = this.#head;
    return timeoutMs < 0 ? undefined : Date.now() - (performance.now() - this.#beganAtMs) + timeoutMs;
  }

  get traceparent(): string | undefined {
    return this.#head.traceparent;
  }

  get metadata(): Pairs {
    return this.#head.metadata;
  }

  get sendMetadata(): (pairs: Pairs) => void {
    return (pairs) => this.#owner.sendMetadata(pairs);
  }

  get setTrailingMetadata(): (pairs: Pairs) => void {
    return (pairs) => this.#owner.setTrailingMetadata(pairs);
  }

  get peer(): CallContext["peer"] {
    return { address: this.#stream.connection.remoteAddress };
  }

  /** The call has ended from outside; the first reason stays. */
  abort(reason: RuntimeError): void {
    if (this.#abortReason !== undefined) return;
    this.#abortReason = reason;
    this.#controller?.abort(reason);
  }
}
