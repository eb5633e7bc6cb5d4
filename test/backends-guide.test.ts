/** docs/guides/backends.md and the servers that it starts: deploy/compose.yaml. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { z } from "zod";
import { catalog } from "../components/catalog.ts";

const compose = z.object({
  services: z.record(z.string(), z.object({ image: z.string(), ports: z.array(z.string()) })),
});

const { services } = compose.parse(parse(readFileSync("deploy/compose.yaml", "utf8")));

test("every server has an image of one version", () => {
  for (const { image } of Object.values(services)) assert.match(image, /:v?\d+\.\d+(\.\d+)?$/);
});

test("no server listens beyond loopback", () => {
  for (const { ports } of Object.values(services)) {
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/);
  }
});

const guide = readFileSync("docs/guides/backends.md", "utf8");

test("the guide tells of every server", () => {
  for (const name of Object.keys(services)) assert.ok(guide.includes(name), name);
});

const configuration = z.object({
  components: z.record(z.string(), z.record(z.string(), z.looseObject({ type: z.string() }))),
});

test("the settings in the guide are those that the components take", async () => {
  const examples = [...guide.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = ""]) => parse(text));
  const lines = [...guide.matchAll(/\| `(orders: [^`]*)` \|/g)].map(([, text = ""]) => ({
    components: { state: parse(text) },
  }));
  assert.ok(examples.length > 2 && lines.length > 4);
  for (const example of [...examples, ...lines]) {
    for (const [kind, components] of Object.entries(configuration.parse(example).components)) {
      for (const { type, ...settings } of Object.values(components)) {
        const definition = await Object.entries(catalog)
          .find(([name]) => name === kind)?.[1]
          [type]?.();
        assert.ok(definition !== undefined, `${kind}: ${type}`);
        assert.doesNotThrow(() => definition.config.parse(settings), `${kind}: ${type}`);
      }
    }
  }
});
