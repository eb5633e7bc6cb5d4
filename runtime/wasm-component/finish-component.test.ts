import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { access, open } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { eventually } from "../../test/conformance/backend.ts";
import { temporaryDirectory } from "../../test/support/sidecar.ts";
import { finish } from "./finish-component.ts";

describe("what is done at last with a component that was compiled", () => {
  it("waits for no disk that takes nothing, and keeps the component when it does again", async () => {
    await using directory = await temporaryDirectory();
    const count = Number(process.env.UV_THREADPOOL_SIZE ?? 4);
    const pipes = Array.from({ length: count }, (_, index) => join(directory.path, `pipe-${index}`));
    execFileSync("mkfifo", pipes);
    const limits = { memoryBytes: 65_536, tableEntries: 1, startFuel: 1 };
    const keep = { directory: directory.path, maxBytes: 1_000_000, key: "some" };
    const task = { digest: "sha256:0", limits, glue: "return () => {};", names: [], imports: [], exports: [], keep };
    // Each holds one of the threads by which files are written, until somebody opens the other end.
    const held = pipes.map((pipe) => open(pipe));
    const { made } = await finish([], task);
    const ends = pipes.map((pipe) => openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK));
    assert.ok(made.glueCode.length > 0);
    for (const opened of held) await (await opened).close();
    for (const end of ends) closeSync(end);
    await eventually("it is kept", () =>
      access(join(directory.path, "some.component")).then(
        () => true,
        () => false,
      ),
    );
  });
});
