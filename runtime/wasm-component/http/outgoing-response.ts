import { payForCall } from "../charge.ts";
import type { GuestHost } from "../provider.ts";
import type { ErrorCode } from "./error-code.ts";
import type { Field, Fields } from "./fields.ts";
import { OutgoingBody } from "./outgoing-body.ts";

/** The resource `wasi:http/types.outgoing-response`. */
export class OutgoingResponse implements Disposable {
  readonly #host: GuestHost;
  readonly #headers: Fields;
  #status = 200;
  #body: OutgoingBody | undefined;

  constructor(host: GuestHost, headers: Fields) {
    payForCall(host);
    this.#host = host;
    this.#headers = headers;
  }

  statusCode(): number {
    return this.#status;
  }

  /** Of a final response: those that come before one cannot be sent. */
  setStatusCode(status: number): void {
    if (status < 200 || status > 599) throw undefined;
    this.#status = status;
  }

  headers(): Fields {
    return this.#headers.frozen();
  }

  body(): OutgoingBody {
    if (this.#body !== undefined) throw undefined;
    this.#body = new OutgoingBody(this.#host, "response", this.#headers.declaredLength);
    return this.#body;
  }

  /** Its body is the guest's to finish. */
  [Symbol.dispose](): void {
    this.#headers[Symbol.dispose]();
    this.#body?.flow.discard();
  }

  /** What there is to send; without a body when the guest asked for none. */
  message(): { readonly status: number; readonly head: readonly Field[]; readonly body: OutgoingBody | undefined } {
    const head: Field[] = [[":status", String(this.#status)]];
    this.#headers.addTo(head);
    return { status: this.#status, head, body: this.#body };
  }
}

/** The `result` that a guest answers with. */
type Answered =
  | { readonly tag: "ok"; readonly val: OutgoingResponse }
  | { readonly tag: "err"; readonly val: ErrorCode };

/** Who is given the answer. */
export interface Answering {
  respond(response: OutgoingResponse): void;
  refuse(error: ErrorCode): void;
}

/** The resource `wasi:http/types.response-outparam`. */
export class ResponseOutparam implements Disposable {
  readonly #answering: Answering;

  constructor(answering: Answering) {
    this.#answering = answering;
  }

  static set(outparam: ResponseOutparam, answer: Answered): void {
    if (answer.tag === "ok") outparam.#answering.respond(answer.val);
    else outparam.#answering.refuse(answer.val);
  }

  sendInformational(): never {
    const error: ErrorCode = { tag: "internal-error", val: "responses before the final one are not sent" };
    throw error;
  }

  [Symbol.dispose](): void {
    // A call that ends without an answer is told of then.
  }
}
