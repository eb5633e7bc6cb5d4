import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { after, before, describe, it } from "node:test";
import { openAdminClient } from "./admin-client.ts";

/** What is sent at once, and again and again after it. */
const dripping: Readonly<Record<string, readonly [string, string]>> = {
  "/head": ["HTTP/1.1 200 OK\r\nX-Long: ", "x"],
  "/body": ["HTTP/1.1 200 OK\r\n\r\n[", " "],
  "/refusal": ["HTTP/1.1 409 Conflict\r\n\r\n{", " "],
  "/lines": ["HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n", "{}\n"],
};

describe("a server that sends byte by byte", () => {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (request: Buffer) => {
      const [head, drop] = dripping[request.toString("latin1").split(" ")[1] ?? ""] ?? ["", ""];
      socket.write(head);
      const timer = setInterval(() => socket.write(drop), 10);
      socket.once("close", () => clearInterval(timer));
    });
  });
  let address: string;
  before(async () => {
    await once(server.listen(0, "127.0.0.1"), "listening");
    address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());

  const client = () => openAdminClient({ address, token: undefined, answerMs: 100 });

  it("does not hold up a question, nor a change whose answer has begun", async () => {
    const message = `the sidecar at ${address} does not bring its answer to an end within 0.1s`;
    for (const path of ["/head", "/body", "/refusal"]) {
      await assert.rejects(client().json({ path }), { message, exitCode: 1 });
      await assert.rejects(client().json({ method: "POST", path, body: {} }), { message, exitCode: 1 });
    }
    await assert.rejects(client().lines({ path: "/head" }).next(), { message });
    await assert.rejects(client().lines({ path: "/refusal" }).next(), { message });
  });

  it("may go on for as long as it has lines", async () => {
    let count = 0;
    for await (const _ of client().lines({ path: "/lines" })) if (++count === 40) break;
    assert.equal(count, 40);
  });
});
