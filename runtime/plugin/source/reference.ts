import { basename, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { PluginError } from "../plugin-error.ts";

interface Named {
  /** As it may stand in messages and in the history: without a query, which may hold a secret. */
  readonly shown: string;
  /** What a module without a manifest is called. */
  readonly stem: string;
}

export interface FileReference extends Named {
  readonly kind: "file";
  readonly path: string;
}

export interface HttpReference extends Named {
  readonly kind: "http";
  readonly url: URL;
}

export interface OciReference extends Named {
  readonly kind: "oci";
  /** Who is asked, as `host` or `host:port`. */
  readonly host: string;
  readonly repository: string;
  /** `latest` when neither a tag nor a digest is given. */
  readonly tag: string;
  /** `sha256:` and hex; it counts, whatever the tag. */
  readonly digest: string | undefined;
}

/** Where a module comes from. */
export type Reference = FileReference | HttpReference | OciReference;

const mostCharacters = 2_048;

/** Reads `file:PATH`, `PATH`, `http(s)://…` or `oci://host/name:tag`; throws PluginError (`refused`) that says what would be right. */
export function parseReference(text: string): Reference {
  if (text === "" || text.length > mostCharacters || hasControls(text)) {
    throw wrong(`expected a path, a URL or oci://host/name:tag, of up to ${mostCharacters} characters`);
  }
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]+):/.exec(text)?.[1]?.toLowerCase();
  switch (scheme) {
    case undefined:
      return fileReference(text);
    case "file":
      return fileReference(text.startsWith("file://") ? pathOf(text) : text.slice("file:".length));
    case "http":
    case "https":
      return httpReference(text);
    case "oci":
      return ociReference(text);
    default:
      throw wrong(`the scheme '${scheme}' is not known; expected file, http, https or oci`);
  }
}

const wrong = (why: string, cause?: unknown): PluginError =>
  new PluginError("", "", "refused", `the plugin cannot be fetched: ${why}`, { cause });

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const hasControls = (text: string): boolean => /[\u0000-\u001f\u007f]/.test(text);

function fileReference(text: string): FileReference {
  const path = resolve(text);
  return { kind: "file", path, shown: path, stem: stemOf(path) };
}

function pathOf(text: string): string {
  try {
    return fileURLToPath(text);
  } catch (cause) {
    throw wrong("expected a file on this host, such as file:///srv/orders.wasm", cause);
  }
}

function httpReference(text: string): HttpReference {
  if (!URL.canParse(text)) throw wrong("it is not a URL; expected https://host/path.wasm");
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") {
    throw wrong("a URL may hold no user and password; put them into the file of plugins.sources.credentials");
  }
  url.hash = "";
  return { kind: "http", url, shown: `${url.origin}${url.pathname}`, stem: stemOf(decoded(url.pathname)) };
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

const ociPattern =
  /^oci:\/\/(?<host>(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::\d{1,5})?)\/(?<repository>[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)(?::(?<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?<digest>[^@]+))?$/i;

function ociReference(text: string): OciReference {
  const { host, repository = "", tag, digest } = ociPattern.exec(text)?.groups ?? {};
  if (host === undefined || repository !== repository.toLowerCase() || repository.length > 255) {
    throw wrong("expected oci://host[:port]/name:tag or oci://host[:port]/name@sha256:…, names in lower case");
  }
  if (digest !== undefined && !digestPattern.test(digest)) {
    throw wrong("the digest is not one that is checked here; expected sha256: and 64 hexadecimal digits");
  }
  const registry = host.toLowerCase().replace(/:443$/, "");
  const known = dockerHub.has(registry) ? "docker.io" : registry;
  const whole = known === "docker.io" && !repository.includes("/") ? `library/${repository}` : repository;
  return {
    kind: "oci",
    host: known,
    repository: whole,
    tag: tag ?? "latest",
    digest,
    shown: `oci://${known}/${whole}${digest === undefined ? `:${tag ?? "latest"}` : `@${digest}`}`,
    stem: stemOf(repository),
  };
}

/** `sha256:` and hex in lower case. */
export const digestPattern = /^sha256:[0-9a-f]{64}$/;

/** Docker's own registry answers at another name than it is called by. */
export const dockerHub: ReadonlySet<string> = new Set(["docker.io", "index.docker.io", "registry-1.docker.io"]);

/** What of a name may be the name of a plugin. */
function stemOf(path: string): string {
  const stem = basename(path, ".wasm").replace(/[^A-Za-z0-9._-]/g, "-");
  return stem.replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, "").slice(0, 64) || "plugin";
}
