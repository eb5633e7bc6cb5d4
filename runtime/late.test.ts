import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { temporaryDirectory } from "../test/support/sidecar.ts";
import { late } from "./late.ts";

describe("what is loaded late", () => {
  it("is loaded once, for all who ask", async () => {
    let loads = 0;
    const value = late(async () => ++loads);
    assert.deepEqual(await Promise.all([value(), value()]), [1, 1]);
    assert.equal(await value(), 1);
  });

  it("is loaded anew by who asks next when an import fails, of it or of what it imports", async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, "part.ts");
    const neighbour = join(directory.path, "neighbour.ts");
    const part = late(async (): Promise<unknown> => (await import(pathToFileURL(file).href)).part);
    const both = await Promise.allSettled([part(), part()]);
    for (const one of both) {
      assert.ok(one.status === "rejected");
      assert.equal(one.reason.code, "ERR_MODULE_NOT_FOUND");
    }
    await writeFile(file, 'import { name } from "./neighbour.ts";\nexport const part = name;\n');
    await assert.rejects(part(), { code: "ERR_MODULE_NOT_FOUND" });
    await writeFile(neighbour, 'export const name = "whole";\n');
    assert.equal(await part(), "whole");
    await rm(file);
    assert.equal(await part(), "whole");
  });
});
