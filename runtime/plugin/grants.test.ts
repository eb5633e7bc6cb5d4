import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { capabilities } from "../config/scalars.ts";
import { requireGranted } from "./grants.ts";
import { parseManifest } from "./manifest.ts";

const manifest = (asks: string) => parseManifest(`{ name: x, capabilities: ${asks} }`, "x.yaml", "x");
const grants = (gives: Record<string, string[]>) => ({ x: capabilities.parse(gives) });

describe("what a plugin asks for", () => {
  it("is acceptable when the configuration gives all of it", () => {
    requireGranted(manifest("{ state: [orders], upstreams: [backend] }"), {
      ...grants({ state: ["orders", "carts"], upstreams: ["backend"], lock: ["jobs"] }),
    });
    requireGranted(manifest("{}"), {});
  });

  it("is refused by name when it is not given", () => {
    assert.throws(() => requireGranted(manifest("{ state: [orders] }"), {}), {
      fault: "refused",
      message: "plugin 'x' asks for state store 'orders', which plugins.grants does not give it",
    });
  });

  it("is refused with everything that is missing", () => {
    const asks = manifest("{ state: [orders, carts], pubsub: [events], invoke: [billing] }");
    assert.throws(() => requireGranted(asks, grants({ state: ["carts"] })), {
      message:
        "plugin 'x' asks for state store 'orders', pub/sub component 'events' and invoke target 'billing', which plugins.grants does not give it",
    });
  });

  it("is not met by what another plugin was given, nor by a name of an object's own", () => {
    assert.throws(() => requireGranted(manifest("{ lock: [jobs] }"), { y: capabilities.parse({ lock: ["jobs"] }) }));
    const inherited = parseManifest("{ name: constructor, capabilities: { lock: [jobs] } }", "c.yaml", "c");
    assert.throws(() => requireGranted(inherited, {}), { fault: "refused" });
  });

  it("may name the runtime itself as an upstream", () => {
    requireGranted(manifest("{ upstreams: [outrigger] }"), {});
  });
});
