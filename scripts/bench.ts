/** `npm run bench`: every benchmark of test/bench, one after the other; exits 1 when one misses its goal. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";

const missed: string[] = [];
for (const file of readdirSync("test/bench")
  .filter((name) => name.endsWith(".ts"))
  .sort()) {
  console.log(`\n# ${file}`);
  const { status } = spawnSync(process.execPath, [`test/bench/${file}`], { stdio: "inherit" });
  if (status !== 0) missed.push(file);
}
console.log(missed.length === 0 ? "\nevery goal was met" : `\nmissed: ${missed.join(", ")}`);
process.exitCode = missed.length === 0 ? 0 : 1;
