/** An interface, and the versions of it that are served. */
export interface VersionedInterface {
  /** Without a version: `wasi:io/streams`. */
  readonly name: string;
  /** `0.2`: 0.2.0 and every later 0.2.x that is no pre-release. A list: exactly these. */
  readonly versions: "0.2" | readonly string[];
}

/** Whether that name in full, such as `wasi:io/streams@0.2.3`, is one of the interface in a version that is served. */
export function isNameOf({ name, versions }: VersionedInterface, fullName: string): boolean {
  const at = fullName.lastIndexOf("@");
  if (at < 0 || fullName.slice(0, at) !== name) return false;
  const version = fullName.slice(at + 1);
  return versions === "0.2" ? /^0\.2\.\d+$/.test(version) : versions.includes(version);
}
