import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { listen, parseHostPort } from "./listen.ts";

async function directory(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "listen-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function greet(socket: net.Socket): void {
  // Whoever only looks whether somebody answers does not wait for the greeting.
  socket.on("error", () => undefined);
  socket.end("hello");
}

async function read(socket: net.Socket): Promise<string> {
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}

describe("a listener", () => {
  it("tells the port it was given and hands out connections", async () => {
    await using listener = await listen("127.0.0.1:0", greet);
    const { host, port } = parseHostPort(listener.address);
    assert.equal(host, "127.0.0.1");
    assert.ok(port > 0);
    assert.equal(await read(net.connect(port, host)), "hello");
  });

  it("accepts nothing after it was stopped, and leaves open connections alone", async () => {
    const accepted = Promise.withResolvers<net.Socket>();
    await using listener = await listen("127.0.0.1:0", accepted.resolve);
    const { host, port } = parseHostPort(listener.address);
    const client = net.connect(port, host);
    const server = await accepted.promise;
    await listener.stop();
    await listener.stop();
    const late = net.connect(port, host);
    const [error] = (await once(late, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNREFUSED");
    server.end("still here");
    assert.equal(await read(client), "still here");
  });

  it("says which address is in use", async () => {
    await using listener = await listen("127.0.0.1:0", greet);
    await assert.rejects(listen(listener.address, greet), {
      message: `cannot listen on ${listener.address}: the address is in use`,
    });
  });

  it("listens on a Unix socket that only its owner can use, and takes it away when it stops", async () => {
    await using folder = await directory();
    const path = join(folder.path, "api.sock");
    const listener = await listen(`unix:${path}`, greet);
    assert.equal(listener.address, `unix:${path}`);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal(await read(net.connect(path)), "hello");
    await listener.stop();
    await assert.rejects(stat(path), { code: "ENOENT" });
  });

  it("takes the place of a Unix socket that nobody serves, not of one that somebody does", async () => {
    await using folder = await directory();
    const path = join(folder.path, "api.sock");
    await using first = await listen(`unix:${path}`, greet);
    await assert.rejects(listen(`unix:${path}`, greet), /the address is in use/);
    assert.equal(await read(net.connect(path)), "hello");
    await first.stop();
    const dead = net.createServer().listen(`${path}.dead`);
    await once(dead, "listening");
    await rename(`${path}.dead`, path);
    await new Promise((resolve) => dead.close(resolve));
    assert.equal((await stat(path)).isSocket(), true);
    await using second = await listen(`unix:${path}`, greet);
    assert.equal(second.address, `unix:${path}`);
    assert.equal(await read(net.connect(path)), "hello");
  });

  it("does not replace a file that is no socket, and says when the folder is missing", async () => {
    await using folder = await directory();
    const path = join(folder.path, "file");
    await writeFile(path, "precious");
    await assert.rejects(listen(`unix:${path}`, greet), /exists and is not a socket/);
    await assert.rejects(listen(`unix:${folder.path}/none/api.sock`, greet), /cannot listen on unix:/);
  });
});

describe("an address", () => {
  it("is split into host and port", () => {
    assert.deepEqual(parseHostPort("localhost:80"), { host: "localhost", port: 80 });
    assert.deepEqual(parseHostPort("[::1]:8080"), { host: "::1", port: 8080 });
  });

  it("is refused when it has no host or no port", () => {
    for (const text of ["", ":1", "host", "host:", "host:x", "host:70000"]) {
      assert.throws(() => parseHostPort(text), RangeError, text);
    }
  });
});
