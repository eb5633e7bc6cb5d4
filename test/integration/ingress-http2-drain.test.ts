import assert from "node:assert/strict";
import { once } from "node:events";
import type http2 from "node:http2";
import net from "node:net";
import { describe, it } from "node:test";
import { ask, connectTo, serveHttp2 } from "./ingress-http2-rig.ts";
import { http2At, toBackend } from "./ingress-http2-routes.ts";
import { openRig } from "./ingress-rig.ts";

describe("draining over HTTP/2", () => {
  it("loses no request: those under way end, and those after it find the port closed", async () => {
    const held: http2.ServerHttp2Stream[] = [];
    const arrived = Promise.withResolvers<void>();
    await using backend = await serveHttp2((stream) => {
      held.push(stream);
      if (held.length === 20) arrived.resolve();
    });
    await using rig = await openRig({ ingress: toBackend, upstreams: http2At(backend.address) });
    await using client = connectTo(rig.port);
    const answers = Array.from({ length: 20 }, () => ask(client.session, { ":path": "/" }));
    await arrived.promise;
    const goneAway = once(client.session, "goaway");
    const drained = rig.ingress.drain(5_000);
    await goneAway;
    for (const stream of held) {
      stream.respond({ ":status": 200 });
      stream.end("done");
    }
    for (const answer of await Promise.all(answers)) assert.equal(answer.body, "done");
    await drained;
    const late = net.connect(rig.port, "127.0.0.1");
    const [error] = (await once(late, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNREFUSED");
  });
});
