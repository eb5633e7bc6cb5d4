/** Events of bindings on their way to an application, through the sidecar as its users run it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { OutriggerClient, serveCallbacks } from "../../sdk/index.ts";
import { eventually } from "../conformance/backend.ts";
import { redisCli, startRedis } from "../support/redis-server.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";

interface Posted {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}

/** An application that serves HTTP, and can go and come back. */
async function httpApplication(answer: (posted: Posted, response: ServerResponse) => void) {
  const posted: Posted[] = [];
  let server: Server | undefined;
  const come = async (port: number): Promise<number> => {
    server = createServer((request, response) => {
      const one = { path: `${request.method} ${request.url}`, headers: request.headers };
      posted.push(one);
      request.resume().on("end", () => answer(one, response));
    }).listen(port, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  };
  const go = async (): Promise<void> => {
    server?.closeAllConnections();
    await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  };
  const port = await come(0);
  return { posted, address: `127.0.0.1:${port}`, go, comeBack: () => come(port), [Symbol.asyncDispose]: go };
}

const tick = (changes: object = {}) => ({ type: "cron", schedule: "@every 100ms", ...changes });
const done = (_: Posted, response: ServerResponse): void => void response.writeHead(204).end();

describe("events of input bindings", () => {
  it("are posted to an application that serves HTTP, under their name or their route", async () => {
    await using directory = await temporaryDirectory();
    await using app = await httpApplication(done);
    const binding = { tick: tick(), tock: tick({ route: "/clock/tock" }) };
    await using _sidecar = await startSidecar(directory.path, { app: { http: app.address }, components: { binding } });
    const paths = (): Set<string> => new Set(app.posted.map(({ path }) => path));
    await eventually("both have come", () => paths().size === 2);
    assert.deepEqual([...paths()].sort(), ["POST /clock/tock", "POST /tick"]);
    const { headers } = app.posted[0] ?? assert.fail("there is one");
    assert.match(headers["binding-metadata-scheduledtime"]?.toString() ?? "", /^\d{4}-/);
    assert.equal(headers["content-type"], "application/octet-stream");
  });

  it("are posted again when the application does not take them, and given up in the end", async () => {
    await using directory = await temporaryDirectory();
    await using app = await httpApplication(({ headers }, response) => {
      first ??= headers["binding-metadata-scheduledtime"];
      response.writeHead(headers["binding-metadata-scheduledtime"] === first ? 500 : 204).end();
    });
    let first: string | string[] | undefined;
    const configuration = { app: { http: app.address }, components: { binding: { tick: tick() } } };
    await using sidecar = await startSidecar(directory.path, configuration);
    const lost = await sidecar.logged(({ msg }) => msg === "an event of a binding was tried in vain and is lost");
    assert.deepEqual([lost.binding, lost.attempts], ["tick", 5]);
    const tries = app.posted.filter(({ headers }) => headers["binding-metadata-scheduledtime"] === first);
    assert.equal(tries.length, 5);
    await eventually("the next one has come", () => app.posted.length > 5);
  });

  it("wait while the application is away and go on when it is back", async () => {
    await using directory = await temporaryDirectory();
    await using app = await httpApplication(done);
    await app.go();
    const configuration = { app: { http: app.address }, components: { binding: { tick: tick() } } };
    await using sidecar = await startSidecar(directory.path, configuration);
    for (let round = 0; round < 2; round++) {
      const before = app.posted.length;
      await app.comeBack();
      await eventually("events come", () => app.posted.length > before + 1);
      await app.go();
    }
    const vain = sidecar.log.filter(({ msg }) => msg.includes("in vain"));
    assert.deepEqual(vain, [], "an application that is away uses no tries up");
  });

  it("go over gRPC where the application lists them there, and over HTTP where it does not", async () => {
    await using directory = await temporaryDirectory();
    await using app = await httpApplication(done);
    const taken: string[] = [];
    let failures = 0;
    await using callbacks = await serveCallbacks({
      port: 0,
      bindings: {
        tick: async ({ binding, metadata }) => {
          taken.push(`${binding} ${metadata.timeZone}`);
          if (taken.length === 1) throw new Error("not this time");
        },
      },
      onError: () => failures++,
    });
    const binding = { tick: tick(), tock: tick(), files: { type: "local", path: "files" } };
    const application = { http: app.address, grpc: callbacks.address };
    await using _sidecar = await startSidecar(directory.path, { app: application, components: { binding } });
    await eventually("both have come", () => taken.length > 2 && app.posted.length > 2);
    assert.deepEqual(new Set(taken), new Set(["tick UTC"]));
    assert.deepEqual(new Set(app.posted.map(({ path }) => path)), new Set(["POST /tock"]));
    assert.equal(failures, 1);
  });

  it("that the application works on are waited for when the sidecar ends", async () => {
    await using directory = await temporaryDirectory();
    const working = Promise.withResolvers<ServerResponse>();
    await using app = await httpApplication((_, response) => working.resolve(response));
    const configuration = { app: { http: app.address }, components: { binding: { tick: tick() } } };
    await using sidecar = await startSidecar(directory.path, configuration);
    const response = await working.promise;
    const stopped = sidecar.stop("SIGTERM");
    await sidecar.logged(({ msg }) => msg === "draining");
    assert.equal(response.destroyed, false);
    response.writeHead(204).end();
    await once(response, "finish");
    assert.deepEqual(await stopped, { code: 0, signal: null });
    assert.equal(app.posted.length, 1);
  });
});

describe("events of a source that brings them again", () => {
  it("are all taken, though the application refuses some and the sidecar is killed with others in its hands", async () => {
    await using server = await startRedis();
    await using directory = await temporaryDirectory();
    const taken = new Set<string>();
    let tries = 0;
    const half = Promise.withResolvers<void>();
    await using callbacks = await serveCallbacks({
      port: 0,
      bindings: {
        orders: async ({ data }) => {
          if (++tries % 7 === 0) throw new Error("not this time");
          taken.add(data.text());
          if (taken.size === 150) half.resolve();
        },
      },
      onError: () => undefined,
    });
    const orders = {
      type: "redis",
      url: `redis://${server.address}`,
      stream: "orders",
      concurrency: 8,
      claimIdleMs: 300,
    };
    const configuration = { app: { grpc: callbacks.address }, components: { binding: { orders } } };
    await using first = await startSidecar(directory.path, configuration);
    await first.logged(({ msg }) => msg === "the application is subscribed");
    const fill = "for order = 1, 300 do redis.call('XADD', 'orders', '*', 'data', order) end";
    await redisCli(server, "EVAL", fill, "0");
    await half.promise;
    await first.stop("SIGKILL");
    await using _second = await startSidecar(directory.path, configuration);
    await eventually("all are taken", () => taken.size === 300);
  });
});

describe("operations of output bindings", () => {
  it("are served over gRPC, with the errors of the systems outside", async () => {
    await using directory = await temporaryDirectory();
    await using outside = await httpApplication(({ path }, response) => {
      response.writeHead(path.endsWith("/missing") ? 404 : 200, { "x-from": "outside" }).end(path);
    });
    const binding = {
      shop: { type: "http", url: `http://${outside.address}/v1` },
      files: { type: "local", path: "files" },
      tick: tick(),
    };
    await using sidecar = await startSidecar(directory.path, { components: { binding } });
    await using client = new OutriggerClient({ address: sidecar.grpc });
    const found = await client.binding.invoke({ binding: "shop", operation: "get", metadata: { path: "/items" } });
    assert.deepEqual([found.data.text(), found.metadata["X-From"]], ["GET /v1/items", "outside"]);
    const fails = (request: Parameters<typeof client.binding.invoke>[0], code: string, message: RegExp) =>
      assert.rejects(client.binding.invoke(request), { code, message });
    await fails({ binding: "shop", operation: "get", metadata: { path: "/missing" } }, "NOT_FOUND", /with 404/);
    await fails({ binding: "files", operation: "list", metadata: { fileName: ".." } }, "INVALID_ARGUMENT", /'\.\.'/);
    await fails(
      { binding: "files", operation: "post" },
      "UNIMPLEMENTED",
      /type local, .* it has create, delete, get, list/,
    );
    await fails({ binding: "tick", operation: "get" }, "UNIMPLEMENTED", /type cron.*only brings events in/);
    const warned = await sidecar.logged(({ msg }) => msg.startsWith("events of bindings come in, and the application"));
    assert.deepEqual(warned.bindings, ["tick"]);
  });
});
