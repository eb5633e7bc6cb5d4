/** The header sections that a gRPC server answers with (gRPC over HTTP/2, section "Responses"). */
import { HeaderBlock } from "../http2/header-block.ts";
import { acceptedEncodings } from "./compression.ts";
import { appendMetadata, type Pairs } from "./metadata-fields.ts";
import type { FailedStatus } from "./status.ts";
import { statusNames } from "./status-code.ts";
import { encodeStatusMessage } from "./status-message.ts";

/** Sections that are the same in most answers: a connection encodes them once. */
export const okHead = HeaderBlock.of(
  ":status",
  "200",
  "content-type",
  "application/grpc",
  "grpc-accept-encoding",
  acceptedEncodings,
);
export const okTrailers = HeaderBlock.of("grpc-status", "0");
/** Answers to what is no gRPC. */
export const notGrpc = HeaderBlock.of(":status", "415", "content-length", "0");
export const notPost = HeaderBlock.of(":status", "405", "allow", "POST", "content-length", "0");

/** A head with metadata. Throws INVALID_ARGUMENT for a pair that cannot travel. */
export function headWith(metadata: Pairs): HeaderBlock {
  if (metadata.length === 0) return okHead;
  return HeaderBlock.extending(okHead, ...metadataFields(metadata));
}

/** Metadata as fields. Throws INVALID_ARGUMENT for a pair that cannot travel. */
export function metadataFields(metadata: Pairs): readonly string[] {
  const flat: string[] = [];
  appendMetadata(flat, metadata);
  return flat;
}

export const okTrailersWith = (fields: readonly string[]): HeaderBlock => HeaderBlock.extending(okTrailers, ...fields);

/** The trailers of a call that failed after its head. */
export const failedTrailers = (status: FailedStatus, fields: readonly string[] = []): HeaderBlock =>
  HeaderBlock.extending(codeTrailers[status.code] ?? noFields, ...statusFields(status), ...fields);

/** The whole answer to a call that failed before its head: Trailers-Only. */
export const failedAtOnce = (status: FailedStatus, fields: readonly string[] = []): HeaderBlock =>
  HeaderBlock.extending(okHead, "grpc-status", `${status.code}`, ...statusFields(status), ...fields);

/** By the number of the code. */
const codeTrailers = statusNames.map((_, code) => HeaderBlock.of("grpc-status", `${code}`));
const noFields = HeaderBlock.of();

/** The fields of a status beside its code: they are different each time. */
function statusFields({ message, details }: FailedStatus): string[] {
  const encoded = Buffer.from(details.buffer, details.byteOffset, details.byteLength).toString("base64");
  const fields: string[] = [];
  if (message !== "") fields.push("grpc-message", encodeStatusMessage(message));
  if (encoded !== "") fields.push("grpc-status-details-bin", encoded);
  return fields;
}
