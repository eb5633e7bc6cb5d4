import { existsSync, readFileSync } from "node:fs";

/** The version of the package, from the package.json above this file: of the checkout, or of what was installed. */
export const version: string = readVersion();

function readVersion(): string {
  const file = ["../package.json", "../../package.json"]
    .map((path) => new URL(path, import.meta.url))
    .find((url) => existsSync(url));
  const content: unknown = file === undefined ? {} : JSON.parse(readFileSync(file, "utf8"));
  const found = typeof content === "object" && content !== null && "version" in content ? content.version : undefined;
  return typeof found === "string" ? found : "0.0.0";
}
