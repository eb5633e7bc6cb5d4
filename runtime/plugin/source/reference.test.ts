import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseReference } from "./reference.ts";

const digest = `sha256:${"ab".repeat(32)}`;

describe("a reference to a plugin", () => {
  const good: readonly [text: string, shown: string, stem: string][] = [
    ["/srv/orders.wasm", "/srv/orders.wasm", "orders"],
    ["file:/srv/orders.wasm", "/srv/orders.wasm", "orders"],
    ["file:///srv/my%20orders.wasm", "/srv/my orders.wasm", "my-orders"],
    ["https://files.test/a/b.wasm?sig=1#x", "https://files.test/a/b.wasm", "b"],
    ["https://files.test/", "https://files.test/", "plugin"],
    ["oci://Registry.test:5000/team/orders", "oci://registry.test:5000/team/orders:latest", "orders"],
    ["oci://registry.test:443/orders:1.0", "oci://registry.test/orders:1.0", "orders"],
    [`oci://registry.test/orders:1.0@${digest}`, `oci://registry.test/orders@${digest}`, "orders"],
    ["oci://[::1]:5000/orders:1", "oci://[::1]:5000/orders:1", "orders"],
    ["oci://index.docker.io/orders:1", "oci://docker.io/library/orders:1", "orders"],
  ];
  for (const [text, shown, stem] of good) {
    it(`is ${text}`, () => {
      const reference = parseReference(text);
      assert.deepEqual([reference.shown, reference.stem], [shown, stem]);
    });
  }

  const wrong: readonly [text: string, message: RegExp][] = [
    ["", /expected a path, a URL or oci/],
    ["a\nb", /expected a path, a URL or oci/],
    [`/${"a".repeat(3_000)}`, /up to 2048 characters/],
    ["s3://bucket/key", /scheme 's3' is not known; expected file, http, https or oci/],
    ["file://elsewhere/a.wasm", /a file on this host/],
    ["https://", /not a URL/],
    ["https://user:secret@files.test/a.wasm", /no user and password/],
    ["oci://registry.test", /expected oci:\/\/host/],
    ["oci://registry.test/Orders:1", /names in lower case/],
    ["oci://user:secret@registry.test/orders", /expected oci:\/\/host/],
    ["oci://registry.test/../../etc/orders", /expected oci:\/\/host/],
    ["oci://registry.test/orders:1?x=y", /expected oci:\/\/host/],
    ["oci://registry.test/orders@sha512:abc", /expected sha256: and 64 hexadecimal digits/],
  ];
  for (const [text, message] of wrong) {
    it(`is not ${JSON.stringify(text.slice(0, 60))}, and its error has no secret`, () => {
      assert.throws(
        () => parseReference(text),
        (error: Error) => message.test(error.message) && !error.message.includes("secret"),
      );
    });
  }

  it("is read in no time, however long its parts repeat", () => {
    assert.throws(() => parseReference(`oci://a/${"a-".repeat(1_000)}!`));
  });
});
