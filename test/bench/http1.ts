/**
 * What does it cost to pass an HTTP/1.1 request on to an application? The sidecar's ingress on one core, with an empty WASM
 * filter and without one, against nginx from Debian as a plain proxy; CPU seconds of the proxy for 100,000 requests.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Served, startBenchSidecar } from "./support/contenders.ts";
import { Figures } from "./support/figures.ts";
import { drive } from "./support/h2load.ts";
import { startNginx } from "./support/nginx.ts";
import { cores, pinDriver, startPinned } from "./support/pinned-process.ts";
import { compare } from "./support/rounds.ts";
import { tool } from "./support/tools.ts";

const goal = 2;
/** What is sent, over how many connections, and how often in one turn. */
const loads = [
  { what: "GET × 32 connections", connections: 32, requests: 40_000, hasBody: false },
  { what: "POST of 256 bytes × 32 connections", connections: 32, requests: 40_000, hasBody: true },
  { what: "GET × 1 connection", connections: 1, requests: 15_000, hasBody: false },
] as const;
const headers = ["accept: */*", "accept-encoding: gzip, deflate", "x-tenant: green"];

async function startApp(): Promise<Served> {
  const started = await startPinned({
    core: cores.driver,
    command: process.execPath,
    parameters: [fileURLToPath(new URL("support/http1-app.ts", import.meta.url))],
    ready: /^serves (\S+)$/,
  });
  return { ...started, address: started.announced[1] ?? "" };
}

pinDriver();
const figures = new Figures("proxied HTTP/1.1 requests");
const nginx = tool("nginx");
await using servers = new AsyncDisposableStack();
const directory = mkdtempSync(join(tmpdir(), "outrigger-bench-"));
servers.defer(() => rmSync(directory, { recursive: true, force: true }));
const bodyFile = join(directory, "body");
writeFileSync(bodyFile, Buffer.alloc(256, "b"));
const app = servers.use(await startApp());
const configuration = (filters: readonly string[]) => ({
  upstreams: { app: { endpoints: [app.address] } },
  ingress: { filters, routes: [{ match: { prefix: "/" }, to: { upstream: "app" } }] },
});
const plain = servers.use(await startBenchSidecar({ configuration: configuration([]) }));
const filtering = servers.use(await startBenchSidecar({ configuration: configuration(["empty"]), filters: ["empty"] }));
const proxies = [
  { name: "outrigger", address: plain.ingress, cpuSeconds: plain.cpuSeconds },
  { name: "outrigger with an empty filter", address: filtering.ingress, cpuSeconds: filtering.cpuSeconds },
];
if (nginx !== undefined) {
  const rival = servers.use(await startNginx(nginx, app.address));
  proxies.push({ name: "nginx", address: rival.address, cpuSeconds: rival.cpuSeconds });
}

for (const { what, connections, requests, hasBody } of loads) {
  const contenders = proxies.map(({ name, address, cpuSeconds }) => ({
    name,
    cpuSeconds,
    load: (count: number) =>
      drive({
        url: `http://${address}/orders/1?verbose=1`,
        requests: count,
        connections,
        streams: 1,
        headers,
        http1: true,
        ...(hasBody ? { bodyFile } : {}),
      }),
  }));
  const costs = await compare(contenders, { requests, warmUp: requests });
  for (const own of ["outrigger with an empty filter", "outrigger"]) {
    const name = `${what}, ${own === "outrigger" ? "no filter" : "an empty filter"}`;
    if (nginx === undefined) {
      figures.addNotMeasured(name, "There is no nginx here.");
      continue;
    }
    const seconds = (of: string): string => `${costs.of(of).toFixed(2)} s`;
    figures.add({
      what: name,
      measured: seconds(own),
      against: `nginx ${seconds("nginx")}`,
      value: costs.ratio(own, "nginx"),
      spread: costs.spread(own, "nginx"),
      goal,
    });
  }
}
figures.finish();
