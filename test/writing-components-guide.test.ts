/** docs/guides/writing-components.md: its code is tested, its settings are good; and the plugins it leads to pass their own tests. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parse } from "yaml";
import { configurationSchema } from "../runtime/config/schema.ts";
import { parseManifest } from "../runtime/plugin/manifest.ts";
import { checkTypes } from "../wasm-plugins/kit/build.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const guide = "docs/guides/writing-components.md";
const template = "wasm-plugins/template";

const read = (file: string): string => readFileSync(join(root, file), "utf8");
const blocks = (language: string): readonly string[] =>
  [...read(guide).matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map(
    ([, block = ""]) => block,
  );

describe("the guide to writing components", () => {
  test("shows code that is tested", () => {
    const sources = [
      `${template}/service/src/service-name.ts`,
      `${template}/service/test/service-name.test.ts`,
      `${template}/http/src/service-name.ts`,
      "wasm-plugins/pricing/src/pricing.ts",
    ].map(read);
    const shown = blocks("ts");
    assert.ok(shown.length >= 4);
    for (const code of shown)
      assert.ok(
        sources.some((source) => source.includes(code.trim())),
        code,
      );
    assert.deepEqual(blocks("wit"), [read("wasm-plugins/pricing/wit/world.wit")]);
    const greeter = read("test/plugins/rust-components/greeter/src/lib.rs");
    assert.deepEqual(blocks("rust"), [greeter.replace("../../../../proto/wit", "wit")]);
    const [crate = ""] = /^wit-bindgen = .*$/m.exec(read("test/plugins/rust-components/Cargo.toml")) ?? [];
    assert.ok(crate !== "" && blocks("toml").join().includes(crate), crate);
  });

  test("has manifests and configurations that are good, and grant what is asked for", () => {
    const [first = "", manifest = "", second = "", ...others] = blocks("yaml");
    assert.deepEqual(others, []);
    const written = read(`${template}/service/service-name.yaml`).replaceAll("service-name", "price-list");
    for (const [asking, granting] of [
      [written, first],
      [manifest, second],
    ] as const) {
      const { name, kind, capabilities } = parseManifest(asking, guide, "unnamed");
      const { plugins } = configurationSchema.parse(parse(granting));
      assert.equal(kind, "service");
      assert.deepEqual(plugins.grants[name]?.state, capabilities.state);
      assert.equal(parse(granting).ingress.routes[0].to.plugin, name);
    }
  });

  test("has no link that leads nowhere, and neither have the pages of the plugins", () => {
    for (const file of [
      guide,
      "wasm-plugins/README.md",
      "wasm-plugins/pricing/README.md",
      "wasm-plugins/hello-http/README.md",
    ])
      for (const [, target = ""] of read(file).matchAll(/\]\(([^)#:]+)\)/g))
        assert.ok(existsSync(join(root, dirname(file), target)), `${file}: ${target}`);
  });
});

describe("the plugins in TypeScript", () => {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  for (const plugin of ["pricing", "hello-http"])
    test(`${plugin} passes its own tests, and the check of its types`, async () => {
      const folder = join(root, "wasm-plugins", plugin);
      const { stdout } = await promisify(execFile)("npm", ["run", "--silent", "test"], { cwd: folder, env });
      assert.match(stdout, /fail 0/);
      await checkTypes({ folder, wit: join(root, "proto/wit") });
      const { name, kind, version } = parseManifest(read(`wasm-plugins/${plugin}/${plugin}.yaml`), plugin, "unnamed");
      assert.deepEqual([name, kind], [plugin, "service"]);
      assert.equal(JSON.parse(read(`wasm-plugins/${plugin}/package.json`)).version, version);
    });
});
