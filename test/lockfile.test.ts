import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

interface LockedPackage {
  readonly version?: string;
  readonly optional?: boolean;
  readonly engines?: { readonly node?: string };
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const lockedPackages = async (): Promise<[path: string, locked: LockedPackage][]> => {
  const lock = JSON.parse(await readFile(new URL("../package-lock.json", import.meta.url), "utf8"));
  return Object.entries<LockedPackage>(lock.packages);
};

test("package-lock.json has an entry for every platform's package, or npm ci refuses it everywhere", async () => {
  const packages = await lockedPackages();
  const locked = new Set(packages.filter(([, { version }]) => version !== undefined).map(([path]) => path));
  const missing = packages.flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !locked.has(`node_modules/${name}`) && !locked.has(`${path}/node_modules/${name}`),
    ),
  );
  assert.deepEqual(missing, []);
});

test("no optional package is left out because npm runs on a machine's own Node 20: its 'engines' are taken out of the lock", async () => {
  const takes20 = /(^|[ |])(\^20\.|>= ?(20|1?\d)(\.|\s|$)|\*)/;
  const leftOut = (await lockedPackages()).flatMap(([path, { optional, engines }]) =>
    optional === true && engines?.node !== undefined && !takes20.test(engines.node) ? [`${path}: ${engines.node}`] : [],
  );
  assert.deepEqual(leftOut, []);
});
