import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { openRig, Plugins, serve } from "./ingress-rig.ts";

const totalBytes = 96 * 1024 ** 2;
/** What the kernel's buffers of two loopback connections may hold, with room; without back-pressure it would be all. */
const mostUnderWay = 32 * 1024 ** 2;
const chunk = Buffer.alloc(64 * 1024, "x");

const toUpstream = (filters: string[] = []) => ({
  routes: [{ match: { prefix: "/" }, filters, to: { upstream: "backend" }, timeout: "0s" }],
});

/** Writes as fast as it may, `written` counts. */
function pour(stream: NodeJS.WritableStream, written: { bytes: number }): void {
  const more = () => {
    while (written.bytes < totalBytes) {
      written.bytes += chunk.length;
      if (!stream.write(chunk)) return;
    }
    stream.end();
  };
  stream.on("drain", more);
  more();
}

/** Reads a little, then lets everybody else run for a while; resolves to the largest lead of the writer. */
async function sip(stream: NodeJS.ReadableStream, written: { bytes: number }): Promise<{ lead: number; read: number }> {
  let read = 0;
  let lead = 0;
  for await (const part of stream) {
    read += part.length;
    for (let at = 0; at < 4; at += 1) await turn();
    lead = Math.max(lead, written.bytes - read);
  }
  return { lead, read };
}

describe("back-pressure", () => {
  it("reaches the upstream when the client reads a large download slowly", async () => {
    const written = { bytes: 0 };
    await using backend = await serve((_request, response) => pour(response, written));
    await using rig = await openRig({
      ingress: toUpstream(),
      upstreams: { backend: { endpoints: [backend.address] } },
    });
    const request = http.get({ port: rig.port, path: "/", agent: false });
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    const { lead, read } = await sip(response, written);
    assert.equal(read, totalBytes);
    assert.ok(lead < mostUnderWay, `the upstream was ${lead} bytes ahead`);
  });

  it("reaches the client when the upstream reads a large upload slowly", async () => {
    const written = { bytes: 0 };
    const done = Promise.withResolvers<{ lead: number; read: number }>();
    await using backend = await serve((request, response) => {
      sip(request, written).then((result) => {
        response.end();
        done.resolve(result);
      }, done.reject);
    });
    await using rig = await openRig({
      ingress: toUpstream(),
      upstreams: { backend: { endpoints: [backend.address] } },
    });
    const request = http.request({ port: rig.port, method: "POST", path: "/", agent: false });
    pour(request, written);
    const { lead, read } = await done.promise;
    assert.equal(read, totalBytes);
    assert.ok(lead < mostUnderWay, `the client was ${lead} bytes ahead`);
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    response.resume();
  });

  it("reaches the client while a filter holds the head of its upload back", async () => {
    const written = { bytes: 0 };
    const shown: number[] = [];
    const resumes: (() => void)[] = [];
    const plugins = new Plugins().add("hold", (host) => ({
      requestHeaders: () => {
        resumes.push(() => host.resume("request"));
        return "pause";
      },
      requestBody: () => {
        shown.push(host.body("request")?.length ?? -1);
        return "continue";
      },
    }));
    let received = 0;
    await using backend = await serve((request, response) => {
      request.on("data", (part: Buffer) => {
        received += part.length;
      });
      request.on("end", () => response.end());
    });
    await using rig = await openRig({
      ingress: toUpstream(["hold"]),
      upstreams: { backend: { endpoints: [backend.address] } },
      plugins,
    });
    const request = http.request({ port: rig.port, method: "POST", path: "/", agent: false });
    const answered = once(request, "response");
    pour(request, written);
    for (let at = 0; at < 2_000; at += 1) await turn();
    assert.ok(written.bytes < mostUnderWay, `the client was ${written.bytes} bytes ahead`);
    assert.equal(received, 0);
    resumes[0]?.();
    const [response] = (await answered) as [http.IncomingMessage];
    response.resume();
    assert.equal(received, totalBytes);
    assert.ok(Math.max(...shown) < 1024 ** 2, "the filter saw the body in pieces that were bounded");
  });
});
