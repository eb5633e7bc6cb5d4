/** h2spec, a conformance test of strangers, against the ports of a sidecar that speak HTTP/2. */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { findTool } from "../bench/support/tools.ts";
import { answeringServer } from "../conformance/http2/answering-server.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const sources = fileURLToPath(new URL("h2spec", import.meta.url));
const module = "github.com/summerwind/h2spec/cmd/h2spec";
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "outrigger-h2spec");

/** The path of h2spec, built in the versions of its go.mod. */
function h2spec(go: string): string {
  const version = createHash("sha256")
    .update(readFileSync(join(sources, "go.sum")))
    .digest("hex")
    .slice(0, 16);
  const program = join(cache, version, "h2spec");
  if (existsSync(program)) return program;
  mkdirSync(join(cache, version), { recursive: true });
  execFileSync(go, ["build", "-mod=readonly", "-o", program, module], {
    cwd: sources,
    stdio: ["ignore", "ignore", "pipe"],
  });
  return program;
}

/** The ingress speaks HTTP/1.1 on the same port, and answers in it what is no preface of HTTP/2. */
const spokenInHttp1 = ["Sends invalid connection preface"];
/** The API answers what is not gRPC at its head and without DATA, so that such streams are closed before more comes. */
const answeredAtTheHead = [
  "Sends a WINDOW_UPDATE frame on half-closed (remote) stream",
  "Sends a PRIORITY frame on half-closed (remote) stream",
  "Sends HEADERS frames that causes their advertised concurrent stream limit to be exceeded",
  "Sends a second HEADERS frame without the END_STREAM flag",
  "Sends a HEADERS frame that contains a pseudo-header field as trailers",
];

interface Counts {
  readonly passed: number;
  readonly skipped: number;
  /** Titles of the cases. */
  readonly failed: readonly string[];
  readonly output: string;
}

function run(program: string, address: string): Promise<Counts> {
  const [host = "", port = ""] = address.split(":");
  return new Promise((resolve, reject) => {
    execFile(program, ["--strict", "-h", host, "-p", port, "-o", "2"], (_, output) => {
      const counts = /(\d+) passed, (\d+) skipped/.exec(output);
      const [, failures = ""] = output.split("Failures:");
      const failed = [...failures.matchAll(/× \d+: (.*)/g)].map(([, title = ""]) => title);
      if (counts === null) reject(new Error(`h2spec gave no counts:\n${output}`));
      else resolve({ passed: Number(counts[1]), skipped: Number(counts[2]), failed, output });
    });
  });
}

const go = findTool("go");
if (go === undefined) console.log("there is no Go here to build h2spec with: its cases are not run");
else {
  describe("h2spec", () => {
    it("passes against the engine, and against the ingress and the API of a sidecar as far as they can answer it", async (t) => {
      const program = h2spec(go);
      const app = createServer((request, response) => {
        request.resume();
        request.on("end", () => response.end("hello from the application"));
      });
      app.listen(0, "127.0.0.1");
      await once(app, "listening");
      try {
        await using engine = await answeringServer();
        await using directory = await temporaryDirectory();
        await using sidecar = await startSidecar(directory.path, {
          app: { id: "orders", http: `127.0.0.1:${(app.address() as AddressInfo).port}` },
          ingress: { routes: [{ match: { prefix: "/" }, to: { app: true } }] },
        });
        const ports = [
          { name: "engine", address: `127.0.0.1:${engine.port}`, failing: [] },
          { name: "ingress", address: sidecar.ingress, failing: spokenInHttp1 },
          { name: "API", address: sidecar.grpc, failing: answeredAtTheHead },
        ];
        for (const { name, address, failing } of ports) {
          const { passed, skipped, failed, output } = await run(program, address);
          t.diagnostic(`${name}: ${passed} passed, ${skipped} skipped, ${failed.length} failed`);
          assert.deepEqual(failed, failing, output);
          assert.ok(passed + skipped + failed.length >= 146 && skipped <= 6, output);
        }
      } finally {
        app.close();
        app.closeAllConnections();
      }
    });
  });
}
