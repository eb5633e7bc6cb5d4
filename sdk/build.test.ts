import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { buildSdk } from "./build.ts";

// Below node_modules, where packages lie and TypeScript is never stripped.
const installed = join(import.meta.dirname, "node_modules", "@outrigger", "sdk");

test("what is published runs as plain JavaScript, carries its messages, and has its types", async () => {
  await using _cleaned = { [Symbol.asyncDispose]: () => rm(dirname(installed), { recursive: true, force: true }) };
  mkdirSync(dirname(installed), { recursive: true });
  buildSdk(installed);
  const program = `
    import { json, OutriggerClient } from "@outrigger/sdk";
    const client = new OutriggerClient({ address: "127.0.0.1:1" });
    client.state.save({ store: "s", key: "k", value: json(1) }).catch((error) => console.log(error.code, import.meta.resolve("@outrigger/sdk")));
  `;
  const consumer = join(dirname(installed), "consumer");
  mkdirSync(consumer);
  writeFileSync(join(consumer, "package.json"), '{ "name": "consumer", "type": "module" }');
  writeFileSync(join(consumer, "index.mjs"), program);
  const [code, resolved] = execFileSync(process.execPath, [join(consumer, "index.mjs")], { encoding: "utf8" })
    .trim()
    .split(" ");
  assert.equal(code, "UNAVAILABLE");
  assert.match(resolved ?? "", /\/node_modules\/@outrigger\/sdk\/sdk\/index\.js$/);
  writeFileSync(
    join(consumer, "index.mts"),
    'import { OutriggerClient } from "@outrigger/sdk";\nexport const id: Promise<bigint> = new OutriggerClient().sequencer.next({ store: "s", key: "k" });\n',
  );
  const options = [
    "--ignoreConfig",
    "--noEmit",
    "--strict",
    "--module",
    "nodenext",
    "--target",
    "esnext",
    "--types",
    "node",
  ];
  execFileSync("tsc", [...options, join(consumer, "index.mts")], { stdio: "inherit" });
});
