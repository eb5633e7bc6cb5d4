import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { keepLog } from "../../test/support/plugin-registry.ts";
import type { FilterAction, LocalReply, PluginUse, StreamFilter, StreamHost } from "../plugin/contract.ts";
import { PluginError } from "../plugin/plugin-error.ts";
import { type PluginAnswer, postToPlugin } from "./plugin-request.ts";

/** A service that does this when it has the whole request. */
function service(act: (host: StreamHost) => FilterAction) {
  const seen = { head: "", body: "", ends: 0 };
  const use: PluginUse = {
    plugin: "orders",
    fail: "closed",
    ready: true,
    open(host) {
      const whole = (): FilterAction => act(host);
      const filter: StreamFilter = {
        requestHeaders: (endOfStream) => {
          const fields = host.headers("request-headers")?.entries() ?? [];
          seen.head = fields.map(([name, value]) => `${name}: ${value}`).join("\n");
          return endOfStream ? whole() : "continue";
        },
        requestBody: (endOfStream) => {
          if (!endOfStream) return "pause";
          const body = host.body("request");
          seen.body = Buffer.from(body?.read(0, body.length) ?? []).toString();
          return whole();
        },
        requestTrailers: () => "continue",
        responseHeaders: () => "continue",
        responseBody: () => "continue",
        responseTrailers: () => "continue",
        end: () => {
          seen.ends++;
        },
      };
      return filter;
    },
    openConnection: () => assert.fail("there is no connection"),
    [Symbol.asyncDispose]: async () => {},
  };
  return { use, seen };
}

const reply = (status: number, body: string | Uint8Array = ""): LocalReply => ({
  status,
  details: "",
  headers: [["x-made-by", "orders"]],
  body: Buffer.from(body),
});

const { log } = keepLog();
const post = (
  use: PluginUse,
  { body = "", timeoutMs = 10_000, signal = new AbortController().signal } = {},
): Promise<PluginAnswer> =>
  postToPlugin(
    use,
    { path: "/events/a/b", headers: [["content-type", "text/plain"]], body: Buffer.from(body) },
    { authority: "shop", timeoutMs, signal, log },
  );

describe("a request that no client made", () => {
  it("is a POST with its headers and its whole body, and gets the plugin's answer", async () => {
    const { use, seen } = service((host) => {
      assert.equal(host.property(["outrigger", "origin"]), "sidecar");
      assert.equal(host.property(["source", "address"]), undefined);
      host.respond(reply(201, "made"));
      return "pause";
    });
    const { status, headers, body, isBlank } = await post(use, { body: "an order" });
    assert.equal(status, 201);
    assert.equal(headers.get("x-made-by"), "orders");
    assert.equal(Buffer.from(body).toString(), "made");
    assert.equal(isBlank, false);
    assert.equal(
      seen.head,
      ":method: POST\n:scheme: http\n:authority: shop\n:path: /events/a/b\nuser-agent: outrigger\ncontent-type: text/plain\ncontent-length: 8",
    );
    assert.deepEqual([seen.body, seen.ends], ["an order", 1]);
  });

  it("may be answered later, and by what the plugin fills in", async () => {
    const later = service((host) => {
      setImmediate(() => host.respond(reply(200, "later")));
      return "pause";
    });
    assert.equal(Buffer.from((await post(later.use)).body).toString(), "later");
    const filled = service((host) => {
      host.body("response")?.splice(0, 0, Buffer.from("filled in"));
      return "continue";
    });
    const answer = await post(filled.use);
    assert.deepEqual([answer.status, Buffer.from(answer.body).toString(), answer.isBlank], [200, "filled in", false]);
  });

  it("is blank when the plugin lets it pass and fills nothing in", async () => {
    assert.equal((await post(service(() => "continue").use, { body: "x" })).isBlank, true);
  });

  it("gets no more than 64 KiB of an answer", async () => {
    const { use } = service((host) => {
      host.respond(reply(200, Buffer.alloc(100_000, "x")));
      return "pause";
    });
    assert.equal((await post(use)).body.length, 65_536);
  });

  it("ends by its time, and when nobody wants it any more; the guest is told once", async () => {
    const silent = service(() => "pause");
    assert.equal((await post(silent.use, { timeoutMs: 5 })).status, 504);
    assert.equal(silent.seen.ends, 1);
    const ending = new AbortController();
    const unwanted = service(() => {
      setImmediate(() => ending.abort(new Error("it is removed")));
      return "pause";
    });
    await assert.rejects(post(unwanted.use, { signal: ending.signal }), /^Error: it is removed$/);
    assert.equal(unwanted.seen.ends, 1);
    await assert.rejects(post(unwanted.use, { signal: ending.signal }), /^Error: it is removed$/);
    assert.equal(unwanted.seen.ends, 1);
  });

  it("fails with a sentence when the plugin resets it, and is answered 503 when none can take it", async () => {
    const { use } = service((host) => {
      host.reset();
      return "pause";
    });
    await assert.rejects(
      post(use),
      /^Error: plugin 'orders' gave no answer to POST \/events\/a\/b: a plugin reset the stream$/,
    );
    const missing: PluginUse = {
      ...use,
      open: () => {
        throw new PluginError("orders", "", "missing", "plugin 'orders' is not deployed");
      },
    };
    const { status, failure } = await post(missing);
    assert.deepEqual([status, failure], [503, "plugin 'orders' is not deployed"]);
  });

  it("has in its answer why the plugin failed, where the log of other requests would be told", async () => {
    const { use } = service((host) => {
      host.failed(new PluginError("orders", "1.0.0", "trap", "plugin 'orders' 1.0.0 trapped in on-event: unreachable"));
      return "pause";
    });
    const { status, failure } = await post(use);
    assert.deepEqual([status, failure], [503, "plugin 'orders' 1.0.0 trapped in on-event: unreachable"]);
  });
});
