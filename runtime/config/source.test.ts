import assert from "node:assert/strict";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { it } from "node:test";
import { z } from "zod";
import { createLog } from "../telemetry/log.ts";
import { type LoadOptions, loadConfiguration } from "./load.ts";
import { fileSource } from "./source.ts";

const memory = async () => ({ config: z.strictObject({}) });
const options: LoadOptions = {
  known: {
    state: { memory },
    pubsub: { memory },
    config: { memory },
    lock: { memory },
    sequencer: { memory },
    secret: {},
    binding: {},
    object: {},
  },
  environment: {},
};

/** A folder with a file, the ids of the snapshots that follow it, and the log lines they cause. */
async function follow(folder: string, file: string) {
  const stop = new AbortController();
  const lines: string[] = [];
  let onLine: () => void = () => {};
  const destination = new Writable({
    write(chunk, _, done) {
      lines.push(String(chunk));
      onLine();
      done();
    },
  });
  const source = fileSource(await loadConfiguration(file, options), options, createLog({ level: "info", destination }));
  const snapshots = source.snapshots(stop.signal)[Symbol.asyncIterator]();
  return {
    next: async () => (await snapshots.next()).value?.configuration.app.id as string | undefined,
    line: () => new Promise<string>((resolve) => (onLine = () => resolve(lines.at(-1) ?? ""))),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

it("yields a snapshot when the file is edited or renamed over, and none for a broken edit", async () => {
  const folder = await mkdtemp(join(tmpdir(), "outrigger-source-"));
  const file = join(folder, "outrigger.yaml");
  await writeFile(file, "app: { id: first }");
  await using followed = await follow(folder, file);
  let next = followed.next();
  await writeFile(file, "app: { id: second }");
  assert.equal(await next, "second");

  next = followed.next();
  const refused = followed.line();
  await writeFile(file, "app: { idd: third }");
  assert.match(await refused, /did you mean 'id'/);
  await writeFile(join(folder, "new.yaml"), "app: { id: fourth }");
  await rename(join(folder, "new.yaml"), file);
  assert.equal(await next, "fourth");
});

it("takes a file that became empty for a mistake", async () => {
  const folder = await mkdtemp(join(tmpdir(), "outrigger-source-"));
  const file = join(folder, "outrigger.yaml");
  await writeFile(file, "app: { id: first }");
  await using followed = await follow(folder, file);
  const next = followed.next();
  const refused = followed.line();
  await writeFile(file, "\n");
  assert.match(await refused, /the file is empty/);
  await writeFile(file, "app: { id: second }");
  assert.equal(await next, "second");
});

it("yields an edit that came before the file was followed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "outrigger-source-"));
  const file = join(folder, "outrigger.yaml");
  await writeFile(file, "app: { id: first }");
  await using followed = await follow(folder, file);
  await writeFile(file, "app: { id: second }");
  assert.equal(await followed.next(), "second");
});

it("follows a symlink that is swapped as Kubernetes swaps a ConfigMap", async () => {
  const folder = await mkdtemp(join(tmpdir(), "outrigger-source-"));
  for (const version of ["one", "two"]) {
    await mkdir(join(folder, `..${version}`));
    await writeFile(join(folder, `..${version}`, "outrigger.yaml"), `app: { id: ${version} }`);
  }
  await symlink("..one", join(folder, "..data"));
  await symlink(join("..data", "outrigger.yaml"), join(folder, "outrigger.yaml"));
  await using followed = await follow(folder, join(folder, "outrigger.yaml"));
  const next = followed.next();
  await symlink("..two", join(folder, "..data_tmp"));
  await rename(join(folder, "..data_tmp"), join(folder, "..data"));
  assert.equal(await next, "two");
});
