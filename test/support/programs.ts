import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { TestContext } from "node:test";

/** A server that tests need is not on this machine and cannot be installed. */
export class ProgramMissing extends Error {
  constructor(program: string, debianPackage: string) {
    super(
      `${program} is missing and Debian's package ${debianPackage} could not be installed; install it and run again`,
    );
    this.name = "ProgramMissing";
  }
}

/** Starts a server for the test. Without its program the test is skipped with the reason, or fails when CI=true. */
export async function startedFor<Server>(
  context: TestContext,
  start: () => Promise<Server>,
): Promise<Server | undefined> {
  try {
    return await start();
  } catch (error) {
    if (!(error instanceof ProgramMissing) || process.env.CI === "true") throw error;
    context.skip(error.message);
    return undefined;
  }
}

const usualPlaces = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];

/** Where the program is, or undefined. `places` are folders to look in beside the usual ones. */
export const findProgram = (program: string, places: readonly string[] = []): string | undefined =>
  [...(process.env.PATH ?? "").split(delimiter), ...usualPlaces, ...places]
    .map((directory) => join(directory, program))
    .find((path) => existsSync(path));

/** Where the program is, from its Debian package if there is none yet; rejects with ProgramMissing. */
export async function installedProgram(
  program: string,
  debianPackage: string,
  places: readonly string[] = [],
): Promise<string> {
  const known = findProgram(program, places);
  if (known !== undefined) return known;
  await installPackages([debianPackage]);
  const installed = findProgram(program, places);
  if (installed !== undefined) return installed;
  throw new ProgramMissing(program, debianPackage);
}

/** Installs Debian packages if it can: those of the machine's lists, or of new ones when that fails. */
export async function installPackages(packages: readonly string[]): Promise<void> {
  // Another test may be at it: apt waits for the lock.
  const install = ["install", "-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120", ...packages];
  if (await apt(install)) return;
  await apt(["update", "-qq"]);
  await apt(install);
}

/** No service starts by itself: the tests start their own. */
function apt(parameters: readonly string[]): Promise<boolean> {
  const [program = "apt-get", ...rest] =
    process.getuid?.() === 0 ? ["apt-get", ...parameters] : ["sudo", "-n", "apt-get", ...parameters];
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const child = spawn(program, rest, { stdio: "ignore", env });
  return new Promise((resolve) => {
    child.once("error", () => resolve(false));
    child.once("close", (code) => resolve(code === 0));
  });
}
