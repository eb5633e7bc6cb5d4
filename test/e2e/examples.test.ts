import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { demoConfiguration } from "../support/demo.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const examples = fileURLToPath(new URL("../../sdk/examples", import.meta.url));
const run = promisify(execFile);

let sidecar: Sidecar;
const open = new AsyncDisposableStack();
before(async () => {
  const directory = open.use(await temporaryDirectory());
  sidecar = open.use(await startSidecar(directory.path, await demoConfiguration()));
});
after(() => open.disposeAsync());

// The two that need an application beside them, invoke and callbacks, are run with one in test/integration.
for (const name of ["hello", "state", "pubsub", "config", "lock", "sequencer"]) {
  test(`the example ${name} runs against the components of npm start`, async () => {
    const { stdout, stderr } = await run(process.execPath, [join(examples, `${name}.ts`)], {
      env: { ...process.env, OUTRIGGER_GRPC_ADDRESS: sidecar.grpc },
    });
    assert.ok(stdout.length > 0);
    assert.equal(stderr, "");
  });
}
