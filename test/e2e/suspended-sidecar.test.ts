/** A machine that gives the sidecar no time for a while: what was asked meanwhile is answered then. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { ask, keepAlive } from "../support/http.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { suspend } from "../support/suspend.ts";

/** Longer than the admin API tells its clients that it keeps a connection, and than node:http does by itself. */
const awayMs = 6_500;

describe("a sidecar that does not run for seconds", () => {
  it("loses no request on connections that were kept", async () => {
    await using directory = await temporaryDirectory();
    await using sidecar = await startSidecar(directory.path, {});
    using agent = keepAlive();
    const askBoth = () =>
      Promise.all([
        ask(sidecar.admin, "/actuator/health/liveness", { agent }),
        ask(sidecar.ingress, "/nothing", { agent }),
      ]);
    const statuses = async (): Promise<readonly number[]> => (await askBoth()).map(({ status }) => status);
    assert.deepEqual(await statuses(), [200, 404]);
    // Of the client: it takes a connection back a moment after the answer.
    await delay(10);
    await suspend(sidecar.process.pid);
    const late = statuses();
    await delay(awayMs);
    sidecar.process.kill("SIGCONT");
    assert.deepEqual(await late, [200, 404]);
  });
});
