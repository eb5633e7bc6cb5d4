import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { linesPerSecond } from "../../runtime/plugin/log-rate.ts";
import { ask } from "../support/http.ts";
import { guestText } from "../support/proxy-wasm-guest.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { assemble } from "../support/wat.ts";

describe("a plugin that floods the log", () => {
  it("is cut off, and one line tells how many of its were left out", async () => {
    const floods = 2_500;
    await using directory = await temporaryDirectory();
    const module = await assemble(
      "loud",
      guestText(() => ({
        fields: "(global $n (mut i32) (i32.const 0))",
        on: {
          proxy_on_request_headers: `(loop $more
            (call $say (i32.const 7))
            (global.set $n (i32.add (global.get $n) (i32.const 1)))
            (br_if $more (i32.lt_u (global.get $n) (i32.const ${floods}))))
            (i32.const 0)`,
        },
      })),
    );
    await writeFile(join(directory.path, "plugins", "loud.wasm"), module);
    await writeFile(join(directory.path, "plugins", "loud.yaml"), "name: loud\nversion: 1.0.0\n");
    const sidecar = await startSidecar(directory.path, {
      upstreams: { nobody: { endpoints: ["127.0.0.1:1"] } },
      plugins: { directory: "./plugins" },
      ingress: { routes: [{ match: { prefix: "/" }, filters: ["loud"], to: { upstream: "nobody" } }] },
    });
    await ask(sidecar.ingress, "/");
    await sidecar.stop();
    const own = sidecar.log.filter(({ plugin }) => plugin === "loud");
    const told = own.filter(({ msg }) => msg.includes("were left out"));
    const written = own.filter(({ source }) => source === "guest").length;
    assert.equal(told.length, 1, JSON.stringify(told));
    assert.ok(written >= linesPerSecond && written < floods, String(written));
    assert.match(told[0]?.msg ?? "", new RegExp(`^${floods - written} lines of plugin 'loud' were left out`));
  });
});
