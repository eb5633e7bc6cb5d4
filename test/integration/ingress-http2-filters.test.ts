import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { answerOf, ask, connectTo, serveHttp2 } from "./ingress-http2-rig.ts";
import { echo, http2At, through } from "./ingress-http2-routes.ts";
import { openRig, Plugins } from "./ingress-rig.ts";

describe("filters over HTTP/2", () => {
  it("see and change heads, bodies and trailers both ways", async () => {
    await using backend = await serveHttp2(echo);
    const seen: string[] = [];
    const plugins = new Plugins().add("change", (host) => ({
      requestHeaders: () => {
        const map = host.headers("request-headers");
        seen.push(map?.get(":authority") ?? "", map?.get(":method") ?? "");
        map?.set(":path", "/changed");
        map?.set("x-new", "1");
        map?.remove("x-old");
        return "continue";
      },
      requestBody: () => {
        host.body("request")?.splice(0, 0, Buffer.from(">"));
        return "continue";
      },
      requestTrailers: () => {
        host.headers("request-trailers")?.set("x-sum", "43");
        return "continue";
      },
      responseHeaders: () => {
        const map = host.headers("response-headers");
        map?.set("x-served-by", "me");
        map?.set(":status", "201");
        return "continue";
      },
      responseTrailers: () => {
        host.headers("response-trailers")?.set("x-trailer", "changed");
        return "continue";
      },
    }));
    await using rig = await openRig({ ingress: through("change"), upstreams: http2At(backend.address), plugins });
    await using client = connectTo(rig.port);
    const stream = client.session.request(
      { ":method": "POST", ":path": "/", ":authority": "a.example", "x-old": "1" },
      { waitForTrailers: true },
    );
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "42" }));
    stream.end("hello");
    const answer = await answerOf(stream);
    const got = JSON.parse(answer.body);
    assert.deepEqual(seen, ["a.example", "POST"]);
    assert.deepEqual([answer.head[":status"], answer.head["x-served-by"]], [201, "me"]);
    assert.equal(answer.trailers["x-trailer"], "changed");
    assert.deepEqual(
      [got.headers[":path"], got.headers["x-new"], got.headers["x-old"], got.body, got.trailers],
      ["/changed", "1", undefined, ">hello", { "x-sum": "43" }],
    );
  });

  it("answer in place of the upstream", async () => {
    const plugins = new Plugins().add("deny", (host) => ({
      requestHeaders: () => {
        host.respond({ status: 403, details: "denied", headers: [["x-why", "no"]], body: Buffer.from("go away") });
        return "pause";
      },
    }));
    await using rig = await openRig({ ingress: through("deny"), upstreams: http2At("127.0.0.1:1"), plugins });
    await using client = connectTo(rig.port);
    const answer = await ask(client.session, { ":method": "POST", ":path": "/" }, "hello");
    assert.deepEqual([answer.head[":status"], answer.head["x-why"], answer.body], [403, "no", "go away"]);
    const grpc = await ask(
      client.session,
      { ":method": "POST", ":path": "/a.B/C", "content-type": "application/grpc" },
      "hello",
    );
    assert.deepEqual(
      [grpc.head[":status"], grpc.head["grpc-status"], grpc.head["grpc-message"], grpc.head["x-why"], grpc.body],
      [200, "7", "go away", "no", ""],
    );
  });
});
