/** The header sections that a gRPC server answers with (gRPC over HTTP/2, section "Responses"). */
import { HeaderBlock } from "../http2/header-block.ts";
import { acceptedEncodings } from "./compression.ts";
import { appendMetadata, type Pairs } from "./metadata-fields.ts";
import type { FailedStatus } from "./status.ts";
import { encodeStatusMessage } from "./status-message.ts";

const plainHead = [":status", "200", "content-type", "application/grpc", "grpc-accept-encoding", acceptedEncodings];

/** Sections that are the same in most answers: a connection encodes them once. */
export const okHead = new HeaderBlock(plainHead);
export const okTrailers = HeaderBlock.of("grpc-status", "0");
/** Answers to what is no gRPC. */
export const notGrpc = HeaderBlock.of(":status", "415", "content-length", "0");
export const notPost = HeaderBlock.of(":status", "405", "allow", "POST", "content-length", "0");

/** A head with metadata. Throws INVALID_ARGUMENT for a pair that cannot travel. */
export function headWith(metadata: Pairs): HeaderBlock {
  if (metadata.length === 0) return okHead;
  const flat = [...plainHead];
  appendMetadata(flat, metadata);
  return new HeaderBlock(flat);
}

/** Metadata as fields of trailers. Throws INVALID_ARGUMENT for a pair that cannot travel. */
export function trailingFields(metadata: Pairs): readonly string[] {
  const flat: string[] = [];
  appendMetadata(flat, metadata);
  return flat;
}

export const okTrailersWith = (fields: readonly string[]): HeaderBlock =>
  new HeaderBlock(["grpc-status", "0", ...fields]);

/** The trailers of a call that failed after its head. */
export const failedTrailers = (status: FailedStatus, fields: readonly string[] = []): HeaderBlock =>
  new HeaderBlock([...statusFields(status), ...fields]);

/** The whole answer to a call that failed before its head: Trailers-Only. */
export const failedAtOnce = (status: FailedStatus, fields: readonly string[] = []): HeaderBlock =>
  new HeaderBlock([...plainHead, ...statusFields(status), ...fields]);

function statusFields({ code, message, details }: FailedStatus): string[] {
  const encoded = Buffer.from(details.buffer, details.byteOffset, details.byteLength).toString("base64");
  const fields = ["grpc-status", `${code}`];
  if (message !== "") fields.push("grpc-message", encodeStatusMessage(message));
  if (encoded !== "") fields.push("grpc-status-details-bin", encoded);
  return fields;
}
