// Runs before `npm start` and `npm test`, under whatever Node the machine has and before node_modules exists: installs
// exactly what package-lock.json names when that has not been done yet, and does nothing when it has.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const stamp = join(modules, ".outrigger-lock");
const digest = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json")))
  .update(`${process.platform}-${process.arch}`)
  .digest("hex");

if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== digest) {
  console.error("installing packages (npm ci) ...");
  const install = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (install.status !== 0) {
    console.error(`npm ci failed (${install.error?.message ?? `exit ${install.status ?? install.signal}`})`);
    process.exit(1);
  }
  if (!existsSync(join(modules, ".bin", "node"))) {
    console.error(
      `no Node 26 package for ${process.platform}-${process.arch}; install Node 24.20 or later and try again`,
    );
    if (Number.parseInt(process.versions.node, 10) < 24) process.exit(1);
  }
  writeFileSync(stamp, digest);
}
