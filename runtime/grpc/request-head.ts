import { RuntimeError } from "../../components/error.ts";
import type { HeaderBlock } from "../http2/header-block.ts";
import { acceptedEncodings, isAccepted } from "./compression.ts";
import { parseTimeout } from "./grpc-timeout.ts";
import { metadataIn, type Pairs } from "./metadata-fields.ts";

/** What a request's head says to gRPC (gRPC over HTTP/2, section "Requests"). Kept with the block: equal heads are read once. */
export class RequestHead {
  readonly path: string;
  readonly isPost: boolean;
  readonly isGrpc: boolean;
  /** Milliseconds; -1 without a deadline. */
  readonly timeoutMs: number;
  /** Of messages that are flagged as compressed. */
  readonly encoding: string;
  /** What is wrong with it though it is gRPC. */
  readonly fault: RuntimeError | undefined;
  readonly #block: HeaderBlock;
  #metadata: Pairs | undefined;

  private constructor(block: HeaderBlock) {
    const { flat } = block;
    let path = "";
    let method = "";
    let contentType = "";
    let timeout: string | undefined;
    let encoding = "identity";
    for (let at = 0; at < flat.length; at += 2) {
      const name = flat[at] ?? "";
      // Most names are of other lengths, and a length is compared faster.
      switch (name.length) {
        case 5:
          if (name === ":path") path = flat[at + 1] ?? "";
          break;
        case 7:
          if (name === ":method") method = flat[at + 1] ?? "";
          break;
        case 12:
          if (name === "content-type") contentType = flat[at + 1] ?? "";
          else if (name === "grpc-timeout") timeout = flat[at + 1];
          break;
        case 13:
          if (name === "grpc-encoding") encoding = flat[at + 1] ?? "";
          break;
      }
    }
    const timeoutMs = timeout === undefined ? -1 : parseTimeout(timeout);
    this.path = path;
    this.isPost = method === "POST";
    this.isGrpc = isGrpcContent(contentType);
    this.timeoutMs = timeoutMs ?? -1;
    this.encoding = encoding;
    this.fault =
      timeoutMs === undefined ? badTimeout(timeout) : isAccepted(encoding) ? undefined : badEncoding(encoding);
    this.#block = block;
  }

  static of(block: HeaderBlock): RequestHead {
    const { note } = block;
    if (note instanceof RequestHead) return note;
    const head = new RequestHead(block);
    block.note = head;
    return head;
  }

  get metadata(): Pairs {
    this.#metadata ??= metadataIn(this.#block.flat);
    return this.#metadata;
  }

  get traceparent(): string | undefined {
    return this.#block.get("traceparent");
  }
}

const grpcContent = "application/grpc";

/** `application/grpc`, alone or followed by `+proto` and the like or by parameters. */
function isGrpcContent(contentType: string): boolean {
  if (contentType === grpcContent) return true;
  if (!contentType.startsWith(grpcContent)) return false;
  const next = contentType.charAt(grpcContent.length);
  return next === "+" || next === ";";
}

const badTimeout = (timeout: string | undefined): RuntimeError =>
  new RuntimeError(
    "INTERNAL",
    "TIMEOUT_MALFORMED",
    `the grpc-timeout '${timeout}' is malformed; it is 1 to 8 digits and one of H M S m u n`,
  );

const badEncoding = (encoding: string): RuntimeError =>
  new RuntimeError(
    "UNIMPLEMENTED",
    "ENCODING_UNKNOWN",
    `messages in the encoding '${encoding}' are not taken; those in ${acceptedEncodings} are`,
  );
