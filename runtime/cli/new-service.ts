import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { CliOptions } from "./cli.ts";
import { CommandError, exitCodes, misuse } from "./command-error.ts";

export interface NewServiceOptions {
  /** Default typescript, the only one. */
  readonly language: string | undefined;
  /** Whether it takes requests through wasi:http, on an engine that has what browsers have. */
  readonly http: boolean;
}

/** What the templates call the plugin, in the names of files and in their text. */
const placeholder = "service-name";
const longestName = 64;
const installed = ["..", "../.."].map((path) => fileURLToPath(new URL(path, import.meta.url)));

/** `outrigger new service NAME`: writes a project into ./NAME. Throws CommandError when the name or the folder will not do. */
export async function newService(
  [what = "", name = "", ...others]: readonly string[],
  { language = "typescript", http }: NewServiceOptions,
  { out }: Pick<CliOptions, "out">,
): Promise<number> {
  if (what !== "service" || others.length > 0) throw misuse(`there is no new '${what}'; expected service`);
  if (language !== "typescript") throw misuse(`there is no template in '${language}'; expected typescript`);
  requireName(name);
  await requireNothing(name);
  const origin = originOf("wasm-plugins/template");
  await writeProject(name, { origin, template: http ? "http" : "service" });
  out(`wrote ${name}; next: cd ${name} && npm install && npm test && npm run build`);
  return exitCodes.done;
}

async function writeProject(name: string, from: { readonly origin: string; readonly template: string }): Promise<void> {
  const { origin, template } = from;
  const source = (path: string): string => join(origin, path);
  await mkdir(name, { recursive: true });
  await cp(source(`wasm-plugins/template/${template}`), name, { recursive: true });
  await nameFiles(name, name);
  await cp(source("wasm-plugins/kit"), join(name, "kit"), {
    recursive: true,
    filter: (file) => !file.endsWith(".test.ts"),
  });
  await cp(source("proto/wit/deps"), join(name, "wit/deps"), { recursive: true });
  await mkdir(join(name, "wit/deps/outrigger"), { recursive: true });
  await cp(source("proto/wit/outrigger.wit"), join(name, "wit/deps/outrigger/outrigger.wit"));
}

/** Puts the name in place of the placeholder. npm leaves out what is called .gitignore from packages. */
async function nameFiles(folder: string, name: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const text = await readFile(path, "utf8");
    await writeFile(path, text.replaceAll(placeholder, name));
    const named = basename(path)
      .replace(placeholder, name)
      .replace(/^gitignore$/, ".gitignore");
    await rename(path, join(dirname(path), named));
  }
}

function requireName(name: string): void {
  if (/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) && name.length <= longestName) return;
  throw misuse(
    `'${name}' is no name for a service; expected up to ${longestName} lower-case letters, digits and '-', such as price-list`,
  );
}

async function requireNothing(folder: string): Promise<void> {
  const found = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw new CommandError(exitCodes.failed, `${folder} cannot be written to (${error.code}); nothing was changed`);
  });
  if (found.length === 0) return;
  throw new CommandError(exitCodes.failed, `the folder ${folder} is not empty; nothing was changed`);
}

/** The root of the checkout, or of the installed package. */
function originOf(path: string): string {
  const origin = installed.find((folder) => existsSync(join(folder, path)));
  if (origin !== undefined) return origin;
  throw new CommandError(exitCodes.failed, `this installation lacks ${path}; install outrigger again`);
}
