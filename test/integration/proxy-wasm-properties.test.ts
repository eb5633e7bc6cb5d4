/** What plugins read of their stream and of the sidecar; the page of the reference is held to it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { stringify } from "yaml";
import { processProperty } from "../../runtime/api/process-properties.ts";
import { makeArtifact } from "../../runtime/plugin/artifact.ts";
import { proxyWasmEngine } from "../../runtime/proxy-wasm/engine.ts";
import { openRegistry } from "../support/plugin-registry.ts";
import { type GuestText, guestText, out, type PlaceText, say, tell } from "../support/proxy-wasm-guest.ts";
import { TestServices } from "../support/proxy-wasm-host.ts";
import { assemble } from "../support/wat.ts";
import { openRig, Plugins, serve } from "./ingress-rig.ts";

const page = readFileSync(new URL("../../docs/reference/proxy-wasm-properties.md", import.meta.url), "utf8");

/** The paths of a section's table with their types. */
function documented(section: string): readonly { path: string; type: string }[] {
  const [, text = ""] = page.split(`## ${section}\n`);
  const [table = ""] = text.split("\n## ");
  return [...table.matchAll(/^\| `([^`]+)` \| (\w+) \|/gm)].map(([, path = "", type = ""]) => ({ path, type }));
}

const pathBytes = (path: string): string => path.replace("NAME", "x-name").replaceAll(".", "\0");
const sizes: Readonly<Record<string, number>> = { integer: 8, time: 8, duration: 8, boolean: 1 };

/** Says status and size of each property. */
const readAll = (text: PlaceText, paths: readonly { path: string }[]): string =>
  paths
    .map(
      ({ path }) => `(i32.store (i32.const 4) (i32.const 0))
        ${say(`(call $proxy_get_property ${text(pathBytes(path))} ${out})`)} ${say("(i32.load (i32.const 4))")}`,
    )
    .join("\n");

/** A plugin on a route to a server that answers with trailers. */
async function openGuest(build: (text: PlaceText) => GuestText, manifest: object = {}) {
  await using opening = new AsyncDisposableStack();
  const services = Object.assign(new TestServices(), {
    property: (path: readonly string[]) => processProperty("app", path),
  });
  const { registry } = opening.use(openRegistry({ engines: [proxyWasmEngine()], services: () => services }));
  const text = stringify({ name: "guest", kind: "filter", rootId: "root", vmId: "vm", ...manifest });
  await registry.deploy(
    makeArtifact(await assemble("guest", guestText(build)), "guest.wasm", { text, path: "guest.yaml" }),
  );
  const backend = opening.use(
    await serve((_request, response) => {
      response.writeHead(200, { "x-name": "of response", trailer: "grpc-status, x-name" });
      response.write("body");
      response.addTrailers({ "grpc-status": "0", "x-name": "of trailers" });
      response.end();
    }),
  );
  const rig = opening.use(
    await openRig({
      ingress: { routes: [{ match: { prefix: "/" }, to: { upstream: "backend" }, filters: ["guest"] }] },
      upstreams: { backend: { endpoints: [backend.address] } },
      source: registry,
    }),
  );
  const owned = opening.move();
  return { rig, services, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function assertAll(paths: readonly { path: string; type: string }[], lines: readonly string[]): void {
  assert.ok(paths.length > 5);
  for (const [at, { path, type }] of paths.entries()) {
    const [status, size] = [lines[at * 2], Number(lines[at * 2 + 1])];
    assert.equal(status, "0", `${path} is there`);
    const expected = sizes[type];
    if (expected === undefined) assert.ok(size > 0, `${path} is not empty`);
    else assert.equal(size, expected, `${path} has the size of its type`);
  }
}

describe("properties", () => {
  it("of a request are all there when it is logged", async () => {
    const paths = documented("Of a request");
    await using open = await openGuest((text) => ({ on: { proxy_on_log: readAll(text, paths) } }));
    const headers = { "x-name": "of request", referer: "there", "user-agent": "test", te: "trailers" };
    await open.rig.send({ method: "POST", path: "/a?b=c", headers }, "body");
    await open.rig.record();
    assertAll(paths, open.services.lines);
  });

  it("of the plugin and the process are there in the root context and in a stream", async () => {
    const paths = documented("Of the plugin and the process");
    await using open = await openGuest((text) => ({
      on: {
        proxy_on_configure: `${readAll(text, paths)} (i32.const 1)`,
        proxy_on_request_headers: `${readAll(text, paths)} (i32.const 0)`,
      },
    }));
    const { lines } = open.services;
    assertAll(paths, lines.splice(0));
    await open.rig.send({ path: "/" });
    assertAll(paths, lines);
  });

  it("without a meaning are not found", async () => {
    const [, text = ""] = page.split("## Without a meaning here\n");
    const paths = [...(text.split("\n# ")[0] ?? "").matchAll(/`([a-z_.]+)`/g)].map(([, path = ""]) => path);
    await using open = await openGuest((place) => ({
      on: {
        proxy_on_log: paths
          .map((path) => say(`(call $proxy_get_property ${place(path.replaceAll(".", "\0"))} ${out})`))
          .join("\n"),
      },
    }));
    await open.rig.send({ path: "/" });
    await open.rig.record();
    assert.ok(paths.length > 5);
    assert.deepEqual([...new Set(open.services.lines)], ["1"]);
  });

  it("that a filter set are read by later ones, and by earlier ones in the response", async () => {
    const seen: string[] = [];
    const plugins = new Plugins();
    const textOf = (value: unknown): string => (value instanceof Uint8Array ? Buffer.from(value).toString() : "none");
    for (const name of ["first", "second", "third"]) {
      plugins.add(name, (host) => ({
        requestHeaders: () => {
          if (name === "second") host.setProperty(["tenant"], Buffer.from("blue"));
          seen.push(`${name} ${textOf(host.property(["tenant"]))}`);
          return "continue";
        },
        responseHeaders: () => {
          seen.push(`${name} ${textOf(host.property(["filter_state", "wasm.tenant"]))}`);
          return "continue";
        },
      }));
    }
    await using backend = await serve((_request, response) => response.end());
    await using rig = await openRig({
      ingress: {
        routes: [{ match: { prefix: "/" }, to: { upstream: "backend" }, filters: ["first", "second", "third"] }],
      },
      upstreams: { backend: { endpoints: [backend.address] } },
      plugins,
    });
    await rig.send({ path: "/" });
    assert.deepEqual(seen, ["first none", "second blue", "third blue", "third blue", "second blue", "first blue"]);
  });
});

describe("heads of requests", () => {
  const requestHeaders = "(i32.const 0)";
  const read = (text: PlaceText, name: string): string =>
    `${say(`(call $proxy_get_header_map_value ${requestHeaders} ${text(name)} ${out})`)} ${tell}`;

  for (const suspends of [false, true]) {
    it(`are read in the response and in the log by a guest that ${suspends ? "suspends" : "does not suspend"}`, async () => {
      await using open = await openGuest(
        (text) => ({
          on: {
            proxy_on_response_headers: `${read(text, "x-name")} (i32.const 0)`,
            proxy_on_log: read(text, "x-last"),
          },
        }),
        { suspends },
      );
      await open.rig.send({ path: "/", headers: { "x-name": "name", "x-last": "last" } });
      await open.services.logged("last");
      assert.deepEqual(open.services.lines, ["0", "name", "0", "last"]);
    });
  }
});
