import { RuntimeError } from "../../components/error.ts";

/** Metadata as the runtime hands it on: names in lower case, values of `-bin` names as padded base64. */
export type Pairs = readonly (readonly [name: string, value: string])[];

/** Names that gRPC and HTTP/2 write themselves; one from a caller would break the call. */
const reserved = /^(:|grpc-|content-type$|te$|user-agent$|host$|connection$|content-length$|transfer-encoding$)/;
const sendableName = /^[0-9a-z_.-]+$/;
const sendableValue = /^[\x20-\x7e]*$/;

/** Fields that gRPC over HTTP/2 gives a meaning of its own and that are no metadata of the call. */
const ofProtocol = new Set([
  "te",
  "content-type",
  "content-length",
  "accept-encoding",
  "grpc-timeout",
  "grpc-encoding",
  "grpc-accept-encoding",
  "grpc-status",
  "grpc-message",
]);

/**
 * Appends pairs to the fields of a section; values of `-bin` names are base64, names that gRPC writes itself are left out.
 * Throws INVALID_ARGUMENT for a pair that cannot travel.
 */
export function appendMetadata(flat: string[], pairs: Pairs): void {
  for (const [key, value] of pairs) {
    const name = key.toLowerCase();
    if (reserved.test(name)) continue;
    const isBinary = name.endsWith("-bin");
    if (!sendableName.test(name) || !(isBinary || sendableValue.test(value))) {
      const text = `the metadata '${name}' cannot be sent: a name is made of 0-9 a-z _ - . and a value of printable ASCII`;
      throw new RuntimeError("INVALID_ARGUMENT", "METADATA_INVALID", text);
    }
    // White space around a value would make the section malformed (RFC 9113, section 8.2.1).
    flat.push(name, isBinary ? canonical(value) : value.trim());
  }
}

/** The metadata among the fields of a section: without those of gRPC and HTTP/2. */
export function metadataIn(flat: readonly string[]): Pairs {
  const pairs: (readonly [string, string])[] = [];
  for (let at = 0; at + 1 < flat.length; at += 2) {
    const name = flat[at] ?? "";
    const value = flat[at + 1] ?? "";
    if (name.charCodeAt(0) === 0x3a || ofProtocol.has(name)) continue;
    if (!name.endsWith("-bin")) pairs.push([name, value]);
    // Binary values of one name may come joined by commas.
    else for (const one of value.split(",")) pairs.push([name, canonical(one)]);
  }
  return pairs;
}

/** With padding, whatever the peer leaves out. */
const canonical = (base64: string): string => Buffer.from(base64, "base64").toString("base64");
