import { Metadata } from "@grpc/grpc-js";
import { RuntimeError } from "../../../components/error.ts";

export type Pairs = readonly (readonly [name: string, value: string])[];

/** Names that gRPC and HTTP/2 write themselves; one from a caller would break the call. */
const reserved = /^(:|grpc-|content-type$|te$|user-agent$|host$|connection$|content-length$|transfer-encoding$)/;

/**
 * Pairs as metadata; values of `-bin` names are base64, names that gRPC writes itself are left out. Throws INVALID_ARGUMENT
 * for a pair that cannot travel.
 */
export function metadataOf(pairs: Pairs): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of pairs) {
    const name = key.toLowerCase();
    if (reserved.test(name)) continue;
    const isBinary = name.endsWith("-bin");
    if (!/^[0-9a-z_.-]+$/.test(name) || !(isBinary || /^[\x20-\x7e]*$/.test(value))) {
      const text = `the metadata '${name}' cannot be sent: a name is made of 0-9 a-z _ - . and a value of printable ASCII`;
      throw new RuntimeError("INVALID_ARGUMENT", "METADATA_INVALID", text);
    }
    metadata.add(name, isBinary ? Buffer.from(value, "base64") : value);
  }
  return metadata;
}

/** Metadata as pairs in lower case; values of `-bin` names as base64. */
export function pairsOf(metadata: Metadata): Pairs {
  return Object.keys(metadata.getMap()).flatMap((name) =>
    metadata.get(name).map((value) => [name, typeof value === "string" ? value : value.toString("base64")] as const),
  );
}
