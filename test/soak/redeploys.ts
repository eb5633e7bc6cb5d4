import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { type BuiltPlugin, build, deploy } from "../support/demo.ts";
import { ask, askUntil } from "../support/http.ts";
import type { SoakLoad } from "./load.ts";

const plugin = "inventory";
const pauseMs = 2000;

/** A service plugin that is replaced by another version every few seconds, while requests go on. */
export async function redeployLoads(): Promise<{
  /** Puts the first version into `<directory>/plugins`. */
  prepare(directory: string): Promise<void>;
  loads(ingress: string, directory: string): SoakLoad[];
}> {
  const versions: readonly { readonly version: string; readonly built: BuiltPlugin }[] = [
    { version: "1.0.0", built: await build(plugin, "1.0.0") },
    { version: "2.0.0", built: await build(plugin, "2.0.0") },
  ];
  let deploys = 0;
  const next = async (directory: string): Promise<string> => {
    const { version, built } = versions[deploys++ % versions.length] ?? assert.fail("there is no version");
    await deploy(directory, plugin, built);
    return version;
  };
  return {
    prepare: async (directory) => void (await next(directory)),
    loads: (ingress, directory) => [
      {
        name: "redeploys",
        inFlight: 1,
        async once() {
          await setTimeout(pauseMs);
          const version = await next(directory);
          await askUntil(ingress, "/inventory/apple", ({ headers }) => headers["x-inventory-version"] === version);
        },
      },
      {
        name: "requests to a plugin",
        inFlight: 4,
        async once() {
          const answer = await ask(ingress, "/inventory/apple", { method: "PUT", body: '{"stock":5}' });
          assert.ok(answer.status < 300, `${answer.status} ${answer.text}`);
        },
      },
    ],
  };
}
