/** How metadata lies in S3, whose own is a few headers: names without case, values of ASCII. */
const plainName = /^[a-z0-9][a-z0-9_-]*$/;
const plainValue = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/;
/** Holds all of the metadata, in JSON and then base64url, if any of it does not fit into headers. */
const packedName = "outrigger-metadata";

/** Metadata as S3 takes it: as it is if that is possible, so that others can read it. */
export function packMetadata(metadata: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(metadata);
  const isPlain = entries.every(
    ([name, value]) => plainName.test(name) && plainValue.test(value) && name !== packedName,
  );
  return isPlain
    ? Object.fromEntries(entries)
    : { [packedName]: Buffer.from(JSON.stringify(metadata)).toString("base64url") };
}

/** Metadata as it was given. */
export function unpackMetadata(found: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const { [packedName]: packed, ...plain } = found;
  if (packed === undefined) return plain;
  try {
    const metadata: unknown = JSON.parse(Buffer.from(packed, "base64url").toString());
    return isTexts(metadata) ? metadata : found;
  } catch {
    // Somebody else's of the same name.
    return found;
  }
}

const isTexts = (value: unknown): value is Record<string, string> =>
  typeof value === "object" && value !== null && Object.values(value).every((one) => typeof one === "string");
