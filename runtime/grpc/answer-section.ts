import type { HeaderBlock } from "../http2/header-block.ts";
import { metadataIn, type Pairs } from "./metadata-fields.ts";

/**
 * A header section of an answer, as gRPC reads it: the head, the trailers, or both in one (gRPC over HTTP/2, section
 * "Responses"). Kept with the block: equal sections are read once.
 */
export class AnswerSection {
  /** `:status`; 0 in trailers. */
  readonly httpStatus: number;
  readonly contentType: string;
  /** Of messages that are flagged as compressed. */
  readonly encoding: string;
  /** `grpc-status`; -1 without it. */
  readonly code: number;
  /** `grpc-message`, decoded. */
  readonly message: string;
  readonly #block: HeaderBlock;
  #metadata: Pairs | undefined;

  private constructor(block: HeaderBlock) {
    const { flat } = block;
    let httpStatus = 0;
    let contentType = "";
    let encoding = "identity";
    let code: string | undefined;
    let message = "";
    for (let at = 0; at < flat.length; at += 2) {
      const value = flat[at + 1] ?? "";
      switch (flat[at]) {
        case ":status":
          httpStatus = Number(value);
          break;
        case "content-type":
          contentType = value;
          break;
        case "grpc-encoding":
          encoding = value;
          break;
        case "grpc-status":
          code = value;
          break;
        case "grpc-message":
          message = decodeStatusMessage(value);
          break;
      }
    }
    this.httpStatus = httpStatus;
    this.contentType = contentType;
    this.encoding = encoding;
    this.code = codeOf(code);
    this.message = message;
    this.#block = block;
  }

  static of(block: HeaderBlock): AnswerSection {
    const { note } = block;
    if (note instanceof AnswerSection) return note;
    const section = new AnswerSection(block);
    block.note = section;
    return section;
  }

  get isGrpc(): boolean {
    return this.contentType.startsWith("application/grpc");
  }

  get metadata(): Pairs {
    this.#metadata ??= metadataIn(this.#block.flat);
    return this.#metadata;
  }
}

const unknown = 2;

/** A code that is not of gRPC is UNKNOWN. */
function codeOf(text: string | undefined): number {
  if (text === undefined) return -1;
  const code = /^\d{1,2}$/.test(text) ? Number(text) : unknown;
  return code <= 16 ? code : unknown;
}

/** `grpc-message` is percent-encoded UTF-8; what is not is left as it came. */
function decodeStatusMessage(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return Buffer.from(
      text.replace(/%([\da-f]{2})/gi, (_whole, octet: string) => String.fromCharCode(Number.parseInt(octet, 16))),
      "latin1",
    ).toString();
  }
}
