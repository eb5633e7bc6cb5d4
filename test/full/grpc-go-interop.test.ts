/** The cases of gRPC's interoperability tests with grpc-go as the client of our transport. Needs Go, and builds test/interop/go. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { http2Transport } from "../../runtime/grpc/http2-transport.ts";
import { serveInterop } from "../support/grpc-interop-service.ts";
import { temporaryDirectory } from "../support/sidecar.ts";

const run = promisify(execFile);
const sources = fileURLToPath(new URL("../interop/go", import.meta.url));
const cases = [
  "empty_unary",
  "large_unary",
  "client_streaming",
  "server_streaming",
  "ping_pong",
  "empty_stream",
  "cancel_after_begin",
  "cancel_after_first_response",
  "timeout_on_sleeping_server",
  "custom_metadata",
  "status_code_and_message",
  "special_status_message",
  "unimplemented_method",
  "unimplemented_service",
  "large_unary_gzip",
  "client_streaming_gzip",
  "ping_pong_gzip",
];

/** Go where its installer puts it, else on the search path. */
const go = existsSync("/usr/local/go/bin/go") ? "/usr/local/go/bin/go" : "go";

describe("the interoperability cases with grpc-go as the client", () => {
  const open = new AsyncDisposableStack();
  let program = "";
  let address = "";

  before(async () => {
    const directory = open.use(await temporaryDirectory());
    program = join(directory.path, "interop");
    await run(go, ["build", "-trimpath", "-o", program, "."], { cwd: sources });
    ({ address } = open.use(await serveInterop(http2Transport)));
  });
  after(() => open.disposeAsync());

  for (const name of cases) {
    it(name, async () => {
      const { stdout } = await run(program, [name, address]);
      assert.equal(stdout, "passed\n");
    });
  }
});
