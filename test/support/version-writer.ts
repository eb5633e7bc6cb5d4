/** Deploys version after version into a store until it is killed, and says each that the store has acknowledged. */
import { makeArtifact } from "../../runtime/plugin/artifact.ts";
import { DiskVersionStore } from "../../runtime/plugin/version-store.ts";
import type { VersionRecord } from "../../runtime/plugin/versions.ts";
import { createLog } from "../../runtime/telemetry/log.ts";

const store = await DiskVersionStore.open(process.argv[2] ?? "", createLog({ level: "silent" }), {
  maxHistoryBytes: 4_000,
});
let stable: VersionRecord | undefined = store.record("orders")?.stable;
for (let number = Number(stable?.version ?? 0) + 1; ; number++) {
  const version = String(number);
  const manifest = { text: `name: orders\nversion: "${version}"\n`, path: "orders.yaml" };
  const bytes = new Uint8Array(Buffer.from(`\0asm\x01\0\0\0${version.padEnd(50_000, "x")}`, "latin1"));
  const artifact = makeArtifact(bytes, "orders.wasm", manifest);
  await store.keep(artifact);
  const { digest, manifestText, origin } = artifact;
  const next: VersionRecord = { version, digest, manifest: manifestText, origin, by: "test", deployedAt: number };
  const previous = stable === undefined ? [] : [stable];
  await store.save({ plugin: "orders", stable: next, trial: undefined, previous });
  await store.log({ at: number, plugin: "orders", action: "deploy", version, digest, by: "test", outcome: "done" });
  stable = next;
  process.stdout.write(`${version}\n`);
}
