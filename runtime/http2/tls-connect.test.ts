import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { describe, it } from "node:test";
import tls from "node:tls";
import { selfSigned } from "../../test/support/certificate.ts";
import { EndpointClient } from "./endpoint-client.ts";
import { HeaderBlock } from "./header-block.ts";
import type { StreamFault } from "./stream-contract.ts";

const certificate = selfSigned();
const trusting = { ca: certificate.cert };
const head = HeaderBlock.of(":method", "GET", ":scheme", "https", ":path", "/", ":authority", "localhost");

interface Listening extends AsyncDisposable {
  readonly address: string;
}

/** Listens on a free port; disposing cuts off what is left. */
async function listening(server: Server): Promise<Listening> {
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => sockets.add(socket)).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `localhost:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The status of an answer; rejects with the fault. */
function answerTo(client: EndpointClient): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    client.request(head, true, {
      headers: (block) => resolve(block.get(":status")),
      data: () => undefined,
      trailers: () => undefined,
      fault: reject,
      drained: () => undefined,
    });
  });
}

const refusalOf = (client: EndpointClient): Promise<StreamFault> =>
  answerTo(client).then(
    () => assert.fail("the request was answered"),
    (fault: StreamFault) => fault,
  );

describe("connecting over TLS", () => {
  it("speaks HTTP/2 with a peer that agrees on it, and names the host", async () => {
    const seen: unknown[] = [];
    const server = http2.createSecureServer(certificate).on("stream", (stream: http2.ServerHttp2Stream) => {
      stream.respond({ ":status": 204 }, { endStream: true });
    });
    server.on("secureConnection", (socket) => seen.push(socket.alpnProtocol, socket.servername));
    await using peer = await listening(server);
    await using client = new EndpointClient({ address: peer.address, tls: () => trusting });
    assert.equal(await answerTo(client), "204");
    assert.deepEqual(seen, ["h2", "localhost"]);
  });

  it("refuses a peer that agrees on another protocol or on none, before anything is asked", async () => {
    for (const ALPNProtocols of [["http/1.1"], undefined]) {
      const server = tls.createServer({ ...certificate, ...(ALPNProtocols && { ALPNProtocols }) }, (socket) => {
        socket.on("error", () => undefined).resume();
      });
      await using peer = await listening(server);
      await using client = new EndpointClient({ address: peer.address, tls: () => trusting });
      const { origin, message, unprocessed } = await refusalOf(client);
      assert.deepEqual([origin, unprocessed], ["connect", true]);
      assert.match(message, new RegExp(`^cannot connect to ${peer.address}: .*(ALPN|application protocol)`, "i"));
    }
  });

  it("refuses a peer that it does not trust, and asks for what to trust at each dial", async () => {
    const server = http2.createSecureServer(certificate).on("stream", (stream: http2.ServerHttp2Stream) => {
      stream.respond({ ":status": 204 }, { endStream: true });
    });
    await using peer = await listening(server);
    let options: tls.ConnectionOptions = {};
    await using client = new EndpointClient({ address: peer.address, tls: () => options, firstBackoffMs: 0 });
    assert.match((await refusalOf(client)).message, /self-signed certificate/);
    options = trusting;
    assert.equal(await answerTo(client), "204");
  });
});
