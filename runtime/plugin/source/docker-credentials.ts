import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { codeOf } from "../../../components/thrown.ts";
import { dockerHub } from "./reference.ts";
import { SourceError } from "./source-error.ts";

/** Who the sidecar is to a registry: a user with a password, or a token that others are had for. */
export type Credentials =
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  | { readonly kind: "identity"; readonly token: string }
  | { readonly kind: "bearer"; readonly token: string };

const entry = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
  registrytoken: z.string().optional(),
});
const credentialFile = z.object({
  auths: z.record(z.string(), entry).default({}),
  credHelpers: z.record(z.string(), z.string()).default({}),
  credsStore: z.string().optional(),
});
const helperAnswer = z.object({ Username: z.string(), Secret: z.string() });

const helperMs = 30_000;
const helperBytes = 64 * 1024;
const helperName = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * What the credential file has for a host and a repository; undefined when it has nothing, or no file was named and there is none.
 * Asks a credential helper only when the file says so. Rejects with SourceError, which holds no secret.
 */
export async function dockerCredentials(
  file: string | undefined,
  host: string,
  repository: string,
): Promise<Credentials | undefined> {
  const path = file ?? join(process.env.DOCKER_CONFIG ?? join(homedir(), ".docker"), "config.json");
  const text = await readOptional(path, file !== undefined);
  if (text === undefined) return undefined;
  const { auths, credHelpers, credsStore } = parse(text, path);
  const keys = keysFor(host, repository);
  const helper = keys.map((key) => credHelpers[key]).find((name) => name !== undefined);
  if (helper !== undefined) return askHelper(helper, keys.at(-1) ?? host);
  const byKey = new Map(Object.entries(auths).map(([key, found]) => [normalized(key), found]));
  for (const key of keys) {
    const found = read(byKey.get(key), path);
    if (found !== undefined) return found;
  }
  return credsStore === undefined ? undefined : askHelper(credsStore, keys.at(-1) ?? host);
}

async function readOptional(path: string, isNamed: boolean): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code = codeOf(error);
    if (!isNamed && (code === "ENOENT" || code === "ENOTDIR")) return undefined;
    throw new SourceError(`the credential file ${path} cannot be read (${code ?? "unknown error"})`, { cause: error });
  }
}

function parse(text: string, path: string): z.output<typeof credentialFile> {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    // What the parser says of the text may show a part of it.
    throw new SourceError(`the credential file ${path} is not JSON`);
  }
  const { data } = credentialFile.safeParse(content);
  if (data === undefined) throw new SourceError(`the credential file ${path} is not one as Docker writes it`);
  return data;
}

/** What the file may call a repository, the most exact first: with its path, as Kubernetes allows, then the host alone. */
function keysFor(host: string, repository: string): string[] {
  const parts = repository.split("/");
  const paths = parts.map((_, index) => `${host}/${parts.slice(0, parts.length - index).join("/")}`);
  return [...paths, ...(dockerHub.has(host) ? [...dockerHub, "https://index.docker.io/v1/"] : [host])];
}

const normalized = (key: string): string =>
  key === "https://index.docker.io/v1/" ? key : key.replace(/^https?:\/\//, "").replace(/\/(v[12]\/?)?$/, "");

function read(found: z.output<typeof entry> | undefined, path: string): Credentials | undefined {
  if (found === undefined) return undefined;
  if (found.identitytoken) return { kind: "identity", token: found.identitytoken };
  if (found.registrytoken) return { kind: "bearer", token: found.registrytoken };
  if (found.username !== undefined && found.password !== undefined) {
    return { kind: "password", username: found.username, password: found.password };
  }
  if (!found.auth) return undefined;
  const [username = "", ...rest] = Buffer.from(found.auth, "base64").toString("utf8").split(":");
  if (rest.length === 0)
    throw new SourceError(`an 'auth' in the credential file ${path} is not user:password in base64`);
  return { kind: "password", username, password: rest.join(":").replace(/\0+$/, "") };
}

/** Runs `docker-credential-NAME get` as Docker does: the host goes in, a user and a secret come out. */
async function askHelper(name: string, key: string): Promise<Credentials | undefined> {
  if (!helperName.test(name)) throw new SourceError("the name of the credential helper is not one of a program");
  const program = `docker-credential-${name}`;
  const { code, output } = await run(program, key);
  if (code !== 0) {
    if (/credentials not found/i.test(output)) return undefined;
    throw new SourceError(`${program} gives no credentials for ${key}; it ended with ${code ?? "a signal"}`);
  }
  let content: unknown;
  try {
    content = JSON.parse(output);
  } catch {
    content = undefined;
  }
  const { data } = helperAnswer.safeParse(content);
  if (data === undefined) throw new SourceError(`${program} answers in another form than Docker's`);
  if (data.Username === "<token>") return { kind: "identity", token: data.Secret };
  return { kind: "password", username: data.Username, password: data.Secret };
}

function run(program: string, input: string): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(program, ["get"], { stdio: ["pipe", "pipe", "ignore"], timeout: helperMs });
  return new Promise((resolve, reject) => {
    let output = "";
    child.once("error", (cause) => reject(new SourceError(`${program} cannot be run`, { cause })));
    // Where no more files may be open it has no pipes, and its error comes.
    if (child.pid === undefined) return;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.length > helperBytes) child.kill();
    });
    child.once("close", (code) => resolve({ code, output }));
    child.stdin.on("error", () => {}).end(input);
  });
}
