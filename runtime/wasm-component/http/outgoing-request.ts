import { payForCall } from "../charge.ts";
import { hold, letGo } from "../held-bytes.ts";
import type { GuestHost } from "../provider.ts";
import type { Field, Fields } from "./fields.ts";
import { type Method, methodText, type Scheme } from "./method.ts";
import { OutgoingBody } from "./outgoing-body.ts";

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/;
const target = /^(\/[\x21\x22\x24-\x7e\x80-\xff]*|\*|)$/;
const schemeName = /^[A-Za-z][A-Za-z0-9+.-]{0,31}$/;
const authorityText = /^[\x21-\x2e\x30-\x3e\x41-\x7e]{1,255}$/;
const maxPathLength = 16 * 1024;

/** The resource `wasi:http/types.outgoing-request`. */
export class OutgoingRequest implements Disposable {
  readonly #host: GuestHost;
  readonly #headers: Fields;
  #method: Method = { tag: "get" };
  #path: string | undefined;
  #scheme: Scheme | undefined;
  #authority: string | undefined;
  #body: OutgoingBody | undefined;
  /** Of its texts. */
  #held = 0;

  constructor(host: GuestHost, headers: Fields) {
    payForCall(host);
    this.#host = host;
    this.#headers = headers;
  }

  body(): OutgoingBody {
    if (this.#body !== undefined) throw undefined;
    this.#body = new OutgoingBody(this.#host, "request", this.#headers.declaredLength);
    return this.#body;
  }

  method(): Method {
    return this.#method;
  }

  setMethod(method: Method): void {
    if (!token.test(methodText(method))) throw undefined;
    this.#hold(methodText(this.#method), methodText(method));
    this.#method = method;
  }

  pathWithQuery(): string | undefined {
    return this.#path;
  }

  setPathWithQuery(path: string | undefined): void {
    if (path !== undefined && (path.length > maxPathLength || !target.test(path))) throw undefined;
    this.#hold(this.#path, path);
    this.#path = path;
  }

  scheme(): Scheme | undefined {
    return this.#scheme;
  }

  setScheme(scheme: Scheme | undefined): void {
    if (scheme?.tag === "other" && !schemeName.test(scheme.val ?? "")) throw undefined;
    this.#hold(this.#scheme?.val, scheme?.val);
    this.#scheme = scheme;
  }

  authority(): string | undefined {
    return this.#authority;
  }

  setAuthority(authority: string | undefined): void {
    if (authority !== undefined && !authorityText.test(authority)) throw undefined;
    this.#hold(this.#authority, authority);
    this.#authority = authority;
  }

  headers(): Fields {
    return this.#headers.frozen();
  }

  /** Its body is the guest's to finish. */
  [Symbol.dispose](): void {
    this.#headers[Symbol.dispose]();
    this.#body?.flow.discard();
    this.#letGo();
  }

  /** What there is to send; without a body when the guest asked for none. */
  message(): { readonly head: readonly Field[]; readonly body: OutgoingBody | undefined } {
    const head: Field[] = [
      [":method", methodText(this.#method)],
      [":scheme", "http"],
      [":authority", this.#authority ?? ""],
      [":path", this.#path || "/"],
    ];
    this.#headers.addTo(head);
    this.#letGo();
    return { head, body: this.#body };
  }

  /** A text takes the place of another. */
  #hold(before = "", text = ""): void {
    const grown = text.length - before.length;
    this.#held += grown;
    hold(this.#host, grown);
  }

  #letGo(): void {
    letGo(this.#host, this.#held);
    this.#held = 0;
  }
}

/** The resource `wasi:http/types.request-options`: durations in nanoseconds. */
export class RequestOptions implements Disposable {
  #connect: bigint | undefined;
  #firstByte: bigint | undefined;
  #betweenBytes: bigint | undefined;

  connectTimeout(): bigint | undefined {
    return this.#connect;
  }

  setConnectTimeout(duration: bigint | undefined): void {
    this.#connect = duration;
  }

  firstByteTimeout(): bigint | undefined {
    return this.#firstByte;
  }

  setFirstByteTimeout(duration: bigint | undefined): void {
    this.#firstByte = duration;
  }

  betweenBytesTimeout(): bigint | undefined {
    return this.#betweenBytes;
  }

  setBetweenBytesTimeout(duration: bigint | undefined): void {
    this.#betweenBytes = duration;
  }

  [Symbol.dispose](): void {
    // It holds nothing.
  }
}
