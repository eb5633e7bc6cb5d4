import { ConnectionError, errorCode } from "./error-code.ts";

/** Most CONTINUATION frames of one section: beyond it somebody wants to keep us busy (CVE-2024-27316). */
const maxContinuations = 64;

/** A field section that arrives in several frames (RFC 9113, section 6.10). */
export class HeaderAssembly {
  readonly streamId: number;
  /** Of the HEADERS frame that began it. */
  readonly endStream: boolean;
  readonly #maxBytes: number;
  readonly #fragments: Buffer[] = [];
  #bytes = 0;

  constructor(streamId: number, endStream: boolean, maxBytes: number) {
    this.streamId = streamId;
    this.endStream = endStream;
    this.#maxBytes = maxBytes;
  }

  /** Throws ConnectionError when it grows beyond what could be a section within the limits. */
  add(bytes: Buffer, start: number, end: number): void {
    this.#bytes += end - start;
    if (this.#bytes > this.#maxBytes || this.#fragments.length > maxContinuations) {
      throw new ConnectionError(errorCode.ENHANCE_YOUR_CALM, "a field section goes on for too long");
    }
    this.#fragments.push(Buffer.from(bytes.subarray(start, end)));
  }

  whole(): Buffer {
    return Buffer.concat(this.#fragments, this.#bytes);
  }
}
