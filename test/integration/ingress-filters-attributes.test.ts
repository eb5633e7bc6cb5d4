import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { text, withFilters } from "./ingress-filters-rig.ts";
import type { Callbacks, OpenFilter } from "./ingress-rig.ts";

describe("what a filter learns of its stream", () => {
  it("are the attributes that Envoy names, in its types", async () => {
    const seen = new Map<string, unknown>();
    const paths = [
      "request.path request.url_path request.query request.host request.scheme request.method request.useragent",
      "request.protocol request.id request.time request.duration request.size request.total_size route_name",
      "source.address source.port destination.port connection.id connection.mtls upstream.address cluster_name",
      "response.code response.code_details response.flags response.size request.headers.x-a response.headers.x-b nothing",
    ].flatMap((line) => line.split(" "));
    const a: OpenFilter = (host) => ({
      end: () => {
        for (const path of paths) seen.set(path, host.property(path.split(".")));
      },
      responseHeaders: () => {
        host.headers("response-headers")?.set("x-b", "2");
        return "continue";
      },
    });
    await withFilters({ a }, async (rig) => {
      const headers = { "x-a": "1", "user-agent": "test", "x-request-id": "id-1", host: "shop" };
      const answer = await rig.send({ method: "POST", path: "/p?q=1", headers }, "12345");
      const [record] = rig.records;
      assert.ok(record);
      assert.deepEqual(
        ["request.path", "request.url_path", "request.query", "request.host", "request.scheme"].map((path) =>
          seen.get(path),
        ),
        ["/p?q=1", "/p", "q=1", "shop", "http"],
      );
      assert.deepEqual(
        ["request.method", "request.useragent", "request.protocol", "request.id", "route_name"].map((path) =>
          seen.get(path),
        ),
        ["POST", "test", "HTTP/1.1", "id-1", "/*"],
      );
      assert.equal(seen.get("request.size"), 5n);
      assert.equal(seen.get("request.time"), BigInt(record.startedAtMs) * 1_000_000n);
      assert.equal(typeof seen.get("request.duration"), "bigint");
      assert.equal(seen.get("source.address"), record.peer);
      assert.equal(seen.get("destination.port"), BigInt(rig.port));
      assert.equal(typeof seen.get("connection.id"), "bigint");
      assert.equal(seen.get("connection.mtls"), false);
      assert.equal(seen.get("upstream.address"), record.endpoint);
      assert.equal(seen.get("cluster_name"), "backend");
      assert.deepEqual(
        ["response.code", "response.code_details", "response.flags", "response.size"].map((path) => seen.get(path)),
        [200n, "via_upstream", 0n, BigInt(answer.body.length)],
      );
      assert.deepEqual([seen.get("request.headers.x-a"), seen.get("response.headers.x-b")], ["1", "2"]);
      assert.equal(seen.get("nothing"), undefined);
    });
  });

  it("are values that filters in front kept, copied from them", async () => {
    const seen: unknown[] = [];
    const kept = Buffer.from("value");
    const keeps: OpenFilter = (host) => ({
      requestHeaders: () => {
        host.setProperty(["mine"], kept);
        kept.fill(0);
        return "continue";
      },
    });
    const reads: OpenFilter = (host) => ({
      requestHeaders: () => {
        for (const path of [["mine"], ["filter_state", "wasm.mine"]]) {
          const value = host.property(path);
          seen.push(value instanceof Uint8Array ? text(value) : value);
        }
        return "continue";
      },
    });
    await withFilters({ keeps, reads }, async (rig) => {
      await rig.send({ path: "/" });
      assert.deepEqual(seen, ["value", "value"]);
    });
  });

  it("are maps of the phase only", async () => {
    const seen: Record<string, boolean> = {};
    const a: OpenFilter = (host) => {
      const look = (phase: string): "continue" => {
        for (const map of ["request-headers", "response-headers"] as const) {
          seen[`${phase} ${map}`] = host.headers(map) !== undefined;
        }
        seen[`${phase} body`] = host.body("request") !== undefined;
        return "continue";
      };
      const callbacks: Callbacks = {
        requestHeaders: () => look("request"),
        requestBody: () => look("body"),
        responseHeaders: () => look("response"),
      };
      return { ...callbacks, end: () => look("end") };
    };
    await withFilters({ a }, async (rig) => {
      await rig.send({ method: "POST", path: "/" }, "x");
      assert.deepEqual(seen, {
        "request request-headers": true,
        "request response-headers": false,
        "request body": false,
        "body request-headers": true,
        "body response-headers": false,
        "body body": true,
        "response request-headers": true,
        "response response-headers": true,
        "response body": false,
        "end request-headers": true,
        "end response-headers": true,
        "end body": false,
      });
    });
  });
});
