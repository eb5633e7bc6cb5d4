/** `npm run build`: compiles the sidecar to dist/, which is what is published and what the image runs. */
import { execFileSync } from "node:child_process";
import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
execFileSync("tsc", ["--project", "tsconfig.build.json"], { stdio: "inherit" });
const main = "dist/runtime/main.js";
writeFileSync(main, readFileSync(main, "utf8").replace(/^(?!#!)/, "#!/usr/bin/env node\n"));
chmodSync(main, 0o755);
