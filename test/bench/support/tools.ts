/** Programs that a benchmark compares with or drives load with, installed when they are missing. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The Debian package of each program. */
const packages: Readonly<Record<string, string>> = {
  h2load: "nghttp2-client",
  nghttpx: "nghttp2-proxy",
  nginx: "nginx-light",
  "redis-server": "redis-server",
};

/** Where programs are that no search path of an ordinary user names. */
const extraDirectories = ["/usr/sbin", "/usr/local/sbin", "/usr/local/go/bin"];

/** The path of a program that is there. */
export function findTool(program: string): string | undefined {
  const directories = [...(process.env.PATH ?? "").split(delimiter), ...extraDirectories];
  return directories.map((directory) => join(directory, program)).find((path) => existsSync(path));
}

/**
 * The path of a program, after an attempt to install its Debian package when there is none; says in one sentence when it
 * cannot be had, and gives undefined then.
 */
export function tool(program: string): string | undefined {
  const found = findTool(program);
  if (found !== undefined) return found;
  const name = packages[program];
  if (name !== undefined) install(name);
  const installed = findTool(program);
  if (installed === undefined) {
    const how = name === undefined ? "" : ` and its Debian package ${name} could not be installed`;
    console.log(`there is no ${program} here${how}; what needs it is not measured`);
  }
  return installed;
}

/** As `tool`, for what no benchmark can do without; throws a sentence. */
export function requiredTool(program: string): string {
  const path = tool(program);
  if (path === undefined) throw new Error(`nothing can be measured without ${program}`);
  return path;
}

function install(name: string): void {
  // No service starts by itself: the benchmarks start their own, with their own configuration.
  const options = {
    stdio: "ignore" as const,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" },
  };
  const apt = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", name];
  const command = process.getuid?.() === 0 ? apt : ["sudo", "-n", ...apt];
  const [program = "apt-get", ...parameters] = command;
  if (spawnSync(program, parameters, options).status === 0) return;
  spawnSync(program, parameters.slice(0, parameters.indexOf("install")).concat("update", "-qq"), options);
  spawnSync(program, parameters, options);
}
