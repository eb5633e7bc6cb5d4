/** docs/guides/go-plugins.md: its plugin is one that test/e2e/go-plugins.test.ts runs, and its settings are good. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { configurationSchema } from "../runtime/config/schema.ts";
import { parseManifest } from "../runtime/plugin/manifest.ts";

const guide = readFileSync("docs/guides/go-plugins.md", "utf8");

const blocks = (language: string): readonly string[] =>
  [...guide.matchAll(/^```(?<of>\w+)\n(?<text>[\s\S]*?)^```$/gm)]
    .filter(({ groups }) => groups?.of === language)
    .map(({ groups }) => groups?.text ?? "");

test("the plugin in the guide is the one that is tested", () => {
  assert.deepEqual(blocks("go"), [readFileSync("test/plugins/go/gatekeeper/main.go", "utf8")]);
});

test("the guide takes the version of the SDK that is tested", () => {
  const [, version] = /proxy-wasm-go-sdk (\S+)/.exec(readFileSync("test/plugins/go/go.mod", "utf8")) ?? [];
  assert.ok(guide.includes(`proxy-wasm-go-sdk@${version}`), version ?? "go.mod names no version");
});

test("the manifest and the configuration in the guide are good, and grant what is asked for", () => {
  const [manifest = "", configuration = "", ...others] = blocks("yaml");
  assert.deepEqual(others, []);
  const { name, capabilities } = parseManifest(manifest, "the guide", "unnamed");
  const { plugins } = configurationSchema.parse(parse(configuration));
  assert.deepEqual(plugins.grants[name]?.upstreams, capabilities.upstreams);
});

test("the limits that the guide advises are ones that a manifest may have", () => {
  const advice = [...guide.matchAll(/`(limits: \{[^`]*\})`/g)].map(([, text = ""]) => text);
  assert.ok(advice.length >= 2);
  for (const limits of advice)
    assert.doesNotThrow(() => parseManifest(`{ name: advised, ${limits} }`, "the guide", "advised"));
});
