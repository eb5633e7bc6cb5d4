/** docs/guides/writing-filters.md, services.md and wasm-plugins/sdk/README.md: their code is tested, their settings are good, no example is left out. */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { parse } from "yaml";
import { configurationSchema } from "../runtime/config/schema.ts";
import { parseManifest } from "../runtime/plugin/manifest.ts";

const examples = "wasm-plugins/sdk/examples";
const guide = "docs/guides/writing-filters.md";
const services = "docs/guides/services.md";
const readme = "wasm-plugins/sdk/README.md";
const list = `${examples}/README.md`;

const read = (file: string): string => readFileSync(file, "utf8");
const blocks = (text: string, language: string): readonly string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map(([, block = ""]) => block);
/** Code without the depth at which it stands. */
const flat = (code: string): string => code.trim().replace(/\n\s*/g, "\n");
const folders = globSync("*/asconfig.json", { cwd: examples }).map(dirname).sort();

describe("the guide to writing filters", () => {
  test("shows code of the example that its section links to", () => {
    for (const section of [guide, services].flatMap((file) => read(file).split(/^## /m).slice(1))) {
      const sources = [...section.matchAll(/examples\/([\w-]+)\/assembly/g)].map(([, name]) =>
        flat(read(join(examples, String(name), "assembly/index.ts"))),
      );
      for (const code of blocks(section, "ts"))
        assert.ok(
          sources.some((source) => source.includes(flat(code))),
          code,
        );
    }
  });

  test("leads to every example, and so does their list", () => {
    for (const folder of folders) {
      assert.ok(read(guide).includes(`examples/${folder}/assembly/index.ts`), folder);
      assert.ok(read(list).includes(`](${folder})`), folder);
    }
  });

  test("has no link that leads nowhere", () => {
    for (const file of [guide, services, readme, list, "wasm-plugins/README.md"])
      for (const [, target = ""] of read(file).matchAll(/\]\(([^)#:]+)\)/g))
        assert.ok(existsSync(join(dirname(file), target)), `${file}: ${target}`);
  });
});

describe("the guide to services", () => {
  test("has a manifest and a configuration that are good, and grant what is asked for", () => {
    const [manifest = "", configuration = "", ...others] = blocks(read(services), "yaml");
    assert.deepEqual(others, []);
    const { name, kind, capabilities, subscriptions } = parseManifest(manifest, services, "unnamed");
    assert.equal(kind, "service");
    const { plugins } = configurationSchema.parse(parse(configuration));
    assert.deepEqual(plugins.grants[name]?.state, capabilities.state);
    assert.deepEqual(
      plugins.grants[name]?.pubsub,
      subscriptions.map(({ pubsub }) => pubsub),
    );
  });
});

describe("the way from nothing to a plugin", () => {
  test("has a manifest and a configuration that are good", () => {
    const [manifest = "", configuration = "", envoy = "", ...others] = blocks(read(readme), "yaml");
    assert.deepEqual(others, []);
    const { name } = parseManifest(manifest, readme, "unnamed");
    const { ingress } = configurationSchema.parse(parse(configuration));
    assert.deepEqual(
      ingress.routes[0]?.filters.map(({ plugin }) => plugin),
      [name],
    );
    assert.equal(parse(envoy).http_filters[0].typed_config.config.name, name);
  });
});

test("every example has a manifest of its name", () => {
  for (const folder of folders) {
    const file = join(examples, folder, `${folder}.yaml`);
    assert.equal(parseManifest(read(file), file, "unnamed").name, folder);
  }
});
