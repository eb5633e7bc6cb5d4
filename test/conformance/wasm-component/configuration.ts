/** What components find through wasi:config, in all its versions, and what they log. */
import assert from "node:assert/strict";
import { unique } from "../backend.ts";
import type { StandardScene } from "./standard-scene.ts";

type Check = (name: string, body: () => Promise<void>) => void;

const versions = ["configRuntime", "configDraft", "configDated", "configCandidate"];

/** `store` is the first configuration store that the guest was granted; `more` is the other. */
export function configurationChecks(check: Check, scene: () => StandardScene, store: string): void {
  const get = (version: string, key: string) => scene().call(`config.${version}.get`, key);
  const save = (place: string, key: string, content: string) =>
    scene().client.config.save({ store: place, items: [{ key, content }] });

  for (const version of versions) {
    check(`${version}: the plugin's own configuration comes first, what is no text as JSON`, async () => {
      await save(store, "both", "the store's");
      assert.equal(await get(version, "greeting"), "hello");
      assert.equal(await get(version, "limits"), '{"most":3}');
      assert.equal(await get(version, "both"), "its own");
    });

    check(`${version}: then the stores that were granted, in the order of the manifest`, async () => {
      const [first, second] = [unique("first"), unique("second")];
      await save(store, first, "of the first");
      await save("more", first, "hidden");
      await save("more", second, "of the second");
      assert.equal(await get(version, first), "of the first");
      assert.equal(await get(version, second), "of the second");
      assert.equal(await get(version, unique("none")), null);
      const all = (await scene().call(`config.${version}.getAll`)) as Record<string, string>;
      assert.equal(all.greeting, "hello");
      assert.equal(all.both, "its own");
      assert.equal(all[first], "of the first");
      assert.equal(all[second], "of the second");
    });
  }
}

export function loggingChecks(check: Check, scene: () => StandardScene): void {
  check("lines come into the plugin's log, with their level and their context", async () => {
    const what = unique("line");
    await scene().call("logging.log", "warn", "billing", what);
    const line = await scene().sidecar.logged(({ msg }) => msg === `billing: ${what}`);
    assert.equal(line.plugin, "standard");
    assert.equal(line.level, 40);
    const bare = unique("bare");
    await scene().call("logging.log", "critical", "", bare);
    await scene().sidecar.logged(({ msg }) => msg === bare);
  });
}
