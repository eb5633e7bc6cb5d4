/** The Go programs of test/bench/go, built outside of the tree. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { messageOf } from "../../../components/thrown.ts";
import { tool } from "./tools.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const sources = join(root, "test/bench/go");
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "outrigger-bench");
const messages = "proto/spec/proto/runtime/v1/runtime.proto";

/**
 * The path of the Go program (`state`, `state-redis ADDRESS`, `proxy BACKEND`, `load ADDRESS CALLS IN_FLIGHT`), built when
 * its sources changed; says in a sentence when it cannot be had, and gives undefined then.
 */
export function goBench(): string | undefined {
  const go = tool("go");
  if (go === undefined) return undefined;
  const files = readdirSync(sources).sort();
  const hash = createHash("sha256").update(readFileSync(join(root, messages)));
  for (const file of files) hash.update(file).update(readFileSync(join(sources, file)));
  const directory = join(cache, hash.digest("hex").slice(0, 16));
  const program = join(directory, "bench");
  if (existsSync(program)) return program;
  try {
    build(go, directory, files);
    return program;
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    const [line] = messageOf(error).split("\n");
    console.log(`the Go programs cannot be built (${line}); what needs them is not measured`);
    return undefined;
  }
}

function build(go: string, directory: string, files: readonly string[]): void {
  console.log("building the Go programs ...");
  mkdirSync(directory, { recursive: true });
  for (const file of files) copyFileSync(join(sources, file), join(directory, file));
  const path = `${join(root, "node_modules/.bin")}:${join(go, "..")}:${process.env.PATH ?? ""}`;
  const options = { cwd: directory, env: { ...process.env, PATH: path }, stdio: ["ignore", "ignore", "pipe"] as const };
  const generate = ["generate", join(root, "proto"), "--path", join(root, messages), "--template", "buf.gen.yaml"];
  execFileSync("buf", generate, { ...options, stdio: [...options.stdio] });
  execFileSync(go, ["build", "-trimpath", "-o", "bench", "."], { ...options, stdio: [...options.stdio] });
}
