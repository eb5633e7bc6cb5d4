/** Streams that end in every way at any moment leave nothing behind. */
import assert from "node:assert/strict";
import http2 from "node:http2";
import { describe, it } from "node:test";
import { errorCode } from "../../runtime/http2/error-code.ts";
import { HeaderBlock } from "../../runtime/http2/header-block.ts";
import { ask, connectTo, resetOf, serveEngine } from "./ingress-http2-rig.ts";
import { openRig, Plugins } from "./ingress-rig.ts";

/** Numbers that look random, the same ones for the same seed. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

for (const filters of [[], ["look"]]) {
  describe(filters.length === 0 ? "streams that are forwarded" : "streams through a filter", () => {
    it("end in every way and leave nothing behind", async () => {
      const draw = random(7);
      await using backend = await serveEngine((stream) => {
        const body = Buffer.alloc(1 + draw(40_000));
        switch (draw(6)) {
          case 0:
            if (stream.id > 1) stream.reset(errorCode.REFUSED_STREAM);
            else stream.sendHeaders(HeaderBlock.of(":status", "200"), true);
            break;
          case 1:
            stream.sendHeaders(HeaderBlock.of(":status", "200"), false);
            setImmediate(() => stream.reset(errorCode.INTERNAL_ERROR));
            break;
          case 2:
            stream.sendHeaders(HeaderBlock.of(":status", "204"), true);
            break;
          case 3:
            setImmediate(() => stream.sendHeaders(HeaderBlock.of(":status", "200", "grpc-status", "5"), true));
            break;
          default:
            stream.sendHeaders(HeaderBlock.of(":status", "200"), false);
            stream.sendData(body, 0, body.length, false);
            stream.sendHeaders(HeaderBlock.of("grpc-status", "0"), true);
        }
      });
      await using rig = await openRig({
        ingress: { routes: [{ match: { prefix: "/" }, to: { upstream: "backend" }, filters }] },
        upstreams: { backend: { endpoints: [backend.address], protocol: "http2" } },
        plugins: new Plugins().add("look", () => ({})),
      });
      const count = 1_000;
      {
        await using client = connectTo(rig.port);
        await ask(client.session, { ":path": "/" });
        const streams = Array.from({ length: count }, async (_, at) => {
          if (at % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
          const stream = client.session.request({ ":method": "POST", ":path": `/${draw(3)}` });
          const closed = resetOf(stream);
          if (draw(2) === 0) stream.end(Buffer.alloc(draw(20_000)));
          else stream.write(Buffer.alloc(draw(20_000)));
          if (draw(3) === 0) setImmediate(() => stream.close(http2.constants.NGHTTP2_CANCEL));
          else stream.on("end", () => stream.close());
          await closed;
        });
        await Promise.all(streams);
      }
      while (rig.ingress.active > 0) await new Promise((resolve) => setImmediate(resolve));
      while ((rig.upstreams.http2("backend")?.activeRequests ?? 0) > 0) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      // What node:http2 gives up before it has sent its head never arrives.
      assert.ok(rig.records.length > count / 2, `${rig.records.length} arrived`);
      assert.equal(rig.plugins.opened, rig.plugins.ended);
    });
  });
}
