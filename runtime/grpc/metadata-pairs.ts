import { Metadata } from "@grpc/grpc-js";

export type Pairs = readonly (readonly [name: string, value: string])[];

/** Names that gRPC and HTTP/2 write themselves; one from a caller would break the call. */
const reserved = /^(:|grpc-|content-type$|te$|user-agent$|host$|connection$|content-length$|transfer-encoding$)/;

/** Pairs as metadata; values of `-bin` names are base64, names that gRPC writes itself are left out. */
export function metadataOf(pairs: Pairs): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of pairs) {
    if (reserved.test(name)) continue;
    metadata.add(name, name.endsWith("-bin") ? Buffer.from(value, "base64") : value);
  }
  return metadata;
}

/** Metadata as pairs in lower case; values of `-bin` names as base64. */
export function pairsOf(metadata: Metadata): Pairs {
  return Object.keys(metadata.getMap()).flatMap((name) =>
    metadata.get(name).map((value) => [name, typeof value === "string" ? value : value.toString("base64")] as const),
  );
}
