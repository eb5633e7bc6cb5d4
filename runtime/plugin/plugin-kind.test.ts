import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assembleComponent } from "../../test/support/component-guests.ts";
import { callableNames, exportedAmong, kindOf } from "../wasm-component/interfaces.ts";
import { makeArtifact } from "./artifact.ts";

/** A component that exports these interfaces, which are empty. */
const exporting = (...names: readonly string[]): Promise<Uint8Array<ArrayBuffer>> =>
  assembleComponent(
    `(component (instance $one) ${names.map((name) => `(export "${name}" (instance $one))`).join(" ")})`,
  );

describe("the kind of a plugin whose manifest does not say it", () => {
  const kinds = [
    ["service", ["wasi:http/incoming-handler@0.2.3"]],
    ["service", ["outrigger:runtime/handler@0.1.0", "outrigger:runtime/events@0.1.0"]],
    ["service", ["a:b/c@1.0.0"]],
    ["service", ["not-outrigger:runtime/filter@0.1.0"]],
    ["filter", ["outrigger:runtime/filter@0.1.0"]],
    ["filter", ["a:b/c@1.0.0", "outrigger:runtime/response-filter@0.1.0"]],
  ] as const;
  for (const [kind, names] of kinds)
    it(`is ${kind} of a component that exports ${names.join(" and ")}`, async () => {
      const bytes = await exporting(...names);
      const bare = makeArtifact(bytes, "plugins/orders.wasm");
      assert.deepEqual([bare.manifest.name, bare.manifest.kind, bare.manifestText], ["orders", kind, "name: orders\n"]);
      assert.equal(bare.manifest.suspends, kind === "service");
      const named = makeArtifact(bytes, "plugins/orders.wasm", { text: "version: 1.2.0\nname: o", path: "o.yaml" });
      assert.equal(named.manifest.kind, kind);
    });

  it("is that which the engine calls the component by", async () => {
    const names = callableNames().map((name) => (name.endsWith("@0.2") ? `${name}.0` : name));
    for (const name of names) {
      const [found] = exportedAmong([name]);
      assert.ok(found, name);
      assert.equal(makeArtifact(await exporting(name), "o.wasm").manifest.kind, kindOf(found.called), name);
    }
  });

  it("is found behind exports of every kind, with a type or without", async () => {
    const bytes = await assembleComponent(`(component
      (core module $code)
      (type $text string)
      (component $inner)
      (instance $one)
      (export "code" (core module $code))
      (export "typed-code" (core module $code) (core module (type 0)))
      (export "text" (type $text))
      (export "same-text" (type $text) (type (eq $text)))
      (export "inner" (component $inner))
      (export "a:b/typed@1.0.0" (instance $one) (instance))
      (export "outrigger:runtime/filter@0.1.0" (instance $one)))`);
    assert.equal(makeArtifact(bytes, "o.wasm").manifest.kind, "filter");
  });

  it("is filter of a module, and what the manifest says when it does", async () => {
    const module = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0);
    assert.equal(makeArtifact(module, "orders.wasm").manifest.kind, "filter");
    const bytes = await exporting("outrigger:runtime/filter@0.1.0");
    const said = makeArtifact(bytes, "orders.wasm", { text: "{ name: o, kind: service }", path: "o.yaml" });
    assert.equal(said.manifest.kind, "service");
    assert.throws(
      () => makeArtifact(bytes, "orders.wasm", { text: "[orders]", path: "o.yaml" }),
      /expected a mapping, found a list/,
    );
  });

  it("is told of a file that is cut off", async () => {
    const bytes = await exporting("outrigger:runtime/filter@0.1.0");
    for (let length = 0; length < bytes.length; length++)
      assert.ok(["filter", "service"].includes(makeArtifact(bytes.slice(0, length), "orders.wasm").manifest.kind));
  });
});
