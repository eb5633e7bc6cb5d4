import { HeaderBlock } from "../http2/header-block.ts";
import { acceptedEncodings } from "./compression.ts";
import { appendMetadata, type Pairs } from "./metadata-fields.ts";

/** The units of `grpc-timeout` that are tried, finest first, in milliseconds each. */
const units: readonly (readonly [unit: string, ms: number])[] = [
  ["m", 1],
  ["S", 1_000],
  ["M", 60_000],
  ["H", 3_600_000],
];
const mostAmount = 99_999_999;
/** Paths that come from callers have no end. */
const mostKept = 256;

/** A time as `grpc-timeout` tells it: rounded up, in at most 8 digits. */
export function timeoutText(ms: number): string {
  for (const [unit, unitMs] of units) {
    const amount = Math.ceil(ms / unitMs);
    if (amount <= mostAmount) return `${amount}${unit}`;
  }
  return `${mostAmount}H`;
}

interface Kept {
  readonly timeout: string;
  readonly block: HeaderBlock;
}

/** The heads of calls to one authority (gRPC over HTTP/2, section "Requests"); those without metadata are made once. */
export class CallHeads {
  readonly #scheme: "http" | "https";
  readonly #authority: string;
  readonly #kept = new Map<string, Kept>();

  constructor(scheme: "http" | "https", authority: string) {
    this.#scheme = scheme;
    this.#authority = authority;
  }

  /** Throws INVALID_ARGUMENT for metadata that cannot travel. */
  of(path: string, timeoutMs: number | undefined, metadata: Pairs): HeaderBlock {
    const timeout = timeoutMs === undefined ? "" : timeoutText(timeoutMs);
    if (metadata.length > 0) return new HeaderBlock(this.#fields(path, timeout, metadata));
    const kept = this.#kept.get(path);
    if (kept?.timeout === timeout) return kept.block;
    const block = new HeaderBlock(this.#fields(path, timeout, metadata));
    if (this.#kept.size >= mostKept && kept === undefined) this.#kept.clear();
    this.#kept.set(path, { timeout, block });
    return block;
  }

  #fields(path: string, timeout: string, metadata: Pairs): string[] {
    const flat = [
      ":method",
      "POST",
      ":scheme",
      this.#scheme,
      ":path",
      path,
      ":authority",
      this.#authority,
      "te",
      "trailers",
      "content-type",
      "application/grpc",
      "user-agent",
      "grpc-outrigger",
      "grpc-accept-encoding",
      acceptedEncodings,
    ];
    if (timeout !== "") flat.push("grpc-timeout", timeout);
    appendMetadata(flat, metadata);
    return flat;
  }
}
