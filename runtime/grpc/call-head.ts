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

/** What comes again and again: the head of a path, and the one with the time that was given last, once it came twice. */
interface Kept {
  readonly base: HeaderBlock;
  timeout: string;
  timed: HeaderBlock | undefined;
}

/** The heads of calls to one authority (gRPC over HTTP/2, section "Requests"). Those without metadata are made once. */
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
    const kept = this.#kept.get(path) ?? this.#keep(path);
    const { base } = kept;
    if (timeoutMs === undefined && metadata.length === 0) return base;
    const timeout = timeoutMs === undefined ? "" : timeoutText(timeoutMs);
    if (metadata.length === 0 && timeout === kept.timeout) {
      kept.timed ??= HeaderBlock.of(...base.flat, "grpc-timeout", timeout);
      return kept.timed;
    }
    const more: string[] = timeout === "" ? [] : ["grpc-timeout", timeout];
    if (metadata.length > 0) appendMetadata(more, metadata);
    else {
      kept.timeout = timeout;
      kept.timed = undefined;
    }
    return HeaderBlock.extending(base, ...more);
  }

  #keep(path: string): Kept {
    const base = HeaderBlock.of(
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
    );
    const kept = { base, timeout: "", timed: undefined };
    if (this.#kept.size >= mostKept) this.#kept.clear();
    this.#kept.set(path, kept);
    return kept;
  }
}
