/** Sidecars that keep transpiled components in one folder, such as a volume, at the same time. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { stringify } from "yaml";
import { eventually } from "../conformance/backend.ts";
import { componentGuest } from "../support/component-guests.ts";
import { askUntil } from "../support/http.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const digestBytes = 32;

describe("sidecars that share what was transpiled", () => {
  const opened = new AsyncDisposableStack();
  let module: Uint8Array;
  before(async () => {
    module = await componentGuest({
      source: `export const handler = {
        handle: () => ({ status: 200, headers: [], body: Uint8Array.from("well", (one) => one.charCodeAt(0)) }),
      };`,
      world: "service",
      wasi: "none",
    });
  });
  after(() => opened.disposeAsync());

  /** An empty folder, as many sidecars as one likes may keep things in. */
  async function sharedFolder() {
    const { path } = opened.use(await temporaryDirectory());
    const shared = join(path, "shared");
    await mkdir(shared);
    return {
      names: () => readdir(shared),
      /** Starts a sidecar that keeps its components there. */
      async start(): Promise<Sidecar> {
        const own = opened.use(await temporaryDirectory());
        await mkdir(join(own.path, "data"));
        await symlink(shared, join(own.path, "data", "components"));
        const routes = [{ match: { prefix: "/" }, to: { plugin: "well" } }];
        const configuration = {
          data: { directory: "./data" },
          plugins: { directory: "./plugins" },
          ingress: { routes },
        };
        return opened.use(await startSidecar(own.path, configuration));
      },
      /** Files that do not end with the digest of what is before it. */
      async torn(): Promise<string[]> {
        const torn: string[] = [];
        for (const name of await readdir(shared)) {
          if (!name.endsWith(".component")) continue;
          const bytes = await readFile(join(shared, name));
          const digest = createHash("sha256").update(bytes.subarray(0, -digestBytes)).digest();
          if (!digest.equals(bytes.subarray(-digestBytes))) torn.push(name);
        }
        return torn;
      },
    };
  }

  async function deploy({ directory }: Sidecar): Promise<void> {
    await writeFile(
      join(directory, "plugins/well.yaml"),
      stringify({ name: "well", version: "1.0.0", kind: "service" }),
    );
    await writeFile(join(directory, "plugins/well.wasm"), module);
  }

  const answers = ({ ingress }: Sidecar): Promise<unknown> => askUntil(ingress, "/", ({ status }) => status === 200);

  it("make the same component at once, and both serve it", async () => {
    const folder = await sharedFolder();
    const both = await Promise.all([folder.start(), folder.start()]);
    await Promise.all(both.map(deploy));
    await Promise.all(both.map(answers));
    await eventually("both have kept it", async () => (await folder.names()).length === 2);
    assert.deepEqual(await folder.torn(), []);
  });

  it("leave nothing torn when one is killed in the middle, to the other or to who comes next", async () => {
    const folder = await sharedFolder();
    const [killed, other] = await Promise.all([folder.start(), folder.start()]);
    await Promise.all([deploy(killed), deploy(other)]);
    while ((await folder.names()).length === 0) await delay(1);
    await killed.stop("SIGKILL");
    await answers(other);
    await eventually("the other has kept it", async () => {
      const kept = (await folder.names()).filter((name) => name.endsWith(".component"));
      return kept.length === 2;
    });
    assert.deepEqual(await folder.torn(), []);
    const next = await folder.start();
    await deploy(next);
    await answers(next);
    assert.deepEqual(await folder.torn(), []);
  });
});
