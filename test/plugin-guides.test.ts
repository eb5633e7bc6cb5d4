/** The guides for plugins in Go, Rust and C: their plugins are ones that test/e2e runs, and their settings are good. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { parse } from "yaml";
import { configurationSchema } from "../runtime/config/schema.ts";
import { parseManifest } from "../runtime/plugin/manifest.ts";

interface Guide {
  readonly file: string;
  readonly language: string;
  /** The plugin that it writes. */
  readonly plugin: string;
}

const guides: readonly Guide[] = [
  { file: "go-plugins.md", language: "go", plugin: "go/gatekeeper/main.go" },
  { file: "rust-plugins.md", language: "rust", plugin: "rust/gatekeeper/src/lib.rs" },
  { file: "cpp-plugins.md", language: "c", plugin: "c/turnstile.c" },
];

const textOf = (file: string): string => readFileSync(`docs/guides/${file}`, "utf8");
const pluginText = (path: string): string => readFileSync(`test/plugins/${path}`, "utf8");

const blocks = (file: string, language: string): readonly string[] =>
  [...textOf(file).matchAll(/^```(?<of>\w+)\n(?<text>[\s\S]*?)^```$/gm)]
    .filter(({ groups }) => groups?.of === language)
    .map(({ groups }) => groups?.text ?? "");

for (const { file, language, plugin } of guides)
  describe(`docs/guides/${file}`, () => {
    test("has the plugin that is tested", () => {
      assert.deepEqual(blocks(file, language), [pluginText(plugin)]);
    });

    test("has a manifest and a configuration that are good, and grant what is asked for", () => {
      const [manifest = "", configuration = "", ...others] = blocks(file, "yaml");
      assert.deepEqual(others, []);
      const { name, capabilities } = parseManifest(manifest, "the guide", "unnamed");
      const { plugins } = configurationSchema.parse(parse(configuration));
      assert.deepEqual(plugins.grants[name]?.upstreams ?? [], capabilities.upstreams);
    });
  });

test("the guide for Go takes the version of the SDK that is tested", () => {
  const [, version] = /proxy-wasm-go-sdk (\S+)/.exec(pluginText("go/go.mod")) ?? [];
  assert.ok(textOf("go-plugins.md").includes(`proxy-wasm-go-sdk@${version}`), version ?? "go.mod names no version");
});

test("the limits that the guide for Go advises are ones that a manifest may have", () => {
  const advice = [...textOf("go-plugins.md").matchAll(/`(limits: \{[^`]*\})`/g)].map(([, text = ""]) => text);
  assert.ok(advice.length >= 2);
  for (const limits of advice)
    assert.doesNotThrow(() => parseManifest(`{ name: advised, ${limits} }`, "the guide", "advised"));
});

test("the guide for Rust takes the crate and the profile that are tested", () => {
  const [manifest = ""] = blocks("rust-plugins.md", "toml");
  const workspace = pluginText("rust/Cargo.toml");
  const profile = workspace.slice(workspace.indexOf("# What keeps"));
  assert.ok(manifest.endsWith(profile));
  const [dependency = "nothing"] = /^proxy-wasm = .*$/m.exec(workspace) ?? [];
  assert.ok(manifest.includes(dependency));
  const [, version] = /name = "proxy-wasm"\nversion = "(.*)"/.exec(pluginText("rust/Cargo.lock")) ?? [];
  assert.ok(textOf("rust-plugins.md").includes(`\`proxy-wasm\` ${version}`));
});

test("the guide for C builds by the options that are tested", () => {
  const tested = readFileSync("test/support/c-plugins.ts", "utf8");
  const lines = blocks("cpp-plugins.md", "console").flatMap((text) => text.split("\n"));
  const options = lines.filter((line) => line.includes("--target")).flatMap((line) => line.match(/ -(?!o )\S+/g) ?? []);
  assert.ok(options.length > 10);
  for (const option of options) assert.ok(tested.includes(`"${option.trim()}"`), option);
});
