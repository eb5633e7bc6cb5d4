/** The connection to NATS: who is let in, what is told of a server that is away, and what is not told to anybody. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { nkeys } from "nats";
import { eventually } from "../../test/conformance/backend.ts";
import { selfSigned } from "../../test/support/certificate.ts";
import { operatorMode } from "../../test/support/nats-operator.ts";
import { startNats } from "../../test/support/nats-server.ts";
import { openContext } from "../../test/support/open-context.ts";
import { recording } from "../../test/support/recording.ts";
import { suspend } from "../../test/support/suspend.ts";
import type { OpenContext } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { type NatsConnection, openNats } from "./nats.ts";
import { natsSettings } from "./nats-settings.ts";

const open = (settings: object, changes: Partial<OpenContext> = {}): Promise<NatsConnection> =>
  openNats(natsSettings.parse(settings), openContext("events", changes));

/** Connects, asks the server something, and closes. */
async function visit(settings: object, changes: Partial<OpenContext> = {}): Promise<void> {
  await using connection = await open(settings, changes);
  await connection.flush();
}

/** True for an error of ours with this code that names the component and holds none of the secrets. */
const refused =
  (code: RuntimeError["code"], ...secrets: readonly string[]) =>
  (error: unknown): boolean =>
    error instanceof RuntimeError &&
    error.code === code &&
    error.message.includes("'events'") &&
    secrets.every((secret) => !`${error.stack} ${JSON.stringify(error)} ${error.cause}`.includes(secret));

describe("a NATS server that wants to know who comes", () => {
  it("lets in a user with the password, which may lie in a secret store", async () => {
    await using server = await startNats({ authorization: ["user: orders", "password: open-sesame"] });
    const servers = [server.address];
    await visit({ servers, username: "orders", password: "open-sesame" });
    const reference = { secretKeyRef: { store: "vault", name: "nats" } };
    await visit({ servers, username: "orders", password: reference }, { secret: async () => "open-sesame" });
    await assert.rejects(
      visit({ servers, username: "orders", password: "wrong-word" }),
      refused("UNAUTHENTICATED", "wrong-word"),
    );
    await assert.rejects(visit({ servers }), refused("UNAUTHENTICATED"));
  });

  it("lets in who has the token", async () => {
    await using server = await startNats({ authorization: ["token: a-long-token"] });
    const servers = [server.address];
    await visit({ servers, token: "a-long-token" });
    await assert.rejects(visit({ servers, token: "another-token" }), refused("UNAUTHENTICATED", "another-token"));
  });

  it("lets in who signs with the nkey", async () => {
    const user = nkeys.createUser();
    const seed = new TextDecoder().decode(user.getSeed());
    const stranger = new TextDecoder().decode(nkeys.createUser().getSeed());
    await using server = await startNats({ authorization: [`users: [{ nkey: ${user.getPublicKey()} }]`] });
    const servers = [server.address];
    await visit({ servers, nkeySeed: seed });
    await assert.rejects(visit({ servers, nkeySeed: stranger }), refused("UNAUTHENTICATED", stranger));
    await assert.rejects(visit({ servers, nkeySeed: "SUNONSENSE" }), refused("INVALID_ARGUMENT", "SUNONSENSE"));
  });

  it("lets in who has credentials of an operator's account", async () => {
    const { lines, credentials } = operatorMode();
    await using server = await startNats({ lines, jetStream: false });
    const servers = [server.address];
    const credentialsFile = join(server.directory, "user.creds");
    await writeFile(credentialsFile, credentials);
    await visit({ servers, credentialsFile });
    await assert.rejects(
      visit({ servers, credentialsFile: join(server.directory, "missing.creds") }),
      refused("FAILED_PRECONDITION"),
    );
    await writeFile(credentialsFile, "nothing of the kind");
    await assert.rejects(visit({ servers, credentialsFile }), refused("INVALID_ARGUMENT", "nothing of the kind"));
  });

  it("is not asked with two ways to log in at once, nor with a password of nobody", async () => {
    for (const settings of [{ username: "orders", token: "x" }, { password: "x" }]) {
      await assert.rejects(visit(settings), refused("INVALID_ARGUMENT"));
    }
  });

  it("says which subject it forbids, instead of letting the call wait", async () => {
    const permissions = 'permissions: { publish: ["_INBOX.>"], subscribe: ["_INBOX.>"] }';
    await using server = await startNats({ authorization: [`users: [{ user: orders, password: x, ${permissions} }]`] });
    await using connection = await open({ servers: [server.address], username: "orders", password: "x" });
    await assert.rejects(connection.request("secret.plans", ""), (error) => {
      return refused("PERMISSION_DENIED")(error) && String(error).includes("secret.plans");
    });
  });
});

describe("NATS over TLS", () => {
  it("is spoken with a server whose certificate is trusted, and with no other", async () => {
    const certificate = selfSigned();
    await using server = await startNats({ tls: certificate });
    const ca = join(server.directory, "ca.pem");
    await writeFile(ca, certificate.cert);
    for (const host of ["127.0.0.1", "localhost"]) {
      const servers = [`${host}:${server.port}`];
      await visit({ servers, tls: { ca } });
      await assert.rejects(visit({ servers, tls: {} }), refused("FAILED_PRECONDITION"));
    }
    const servers = [server.address];
    await assert.rejects(
      visit({ servers }),
      refused("FAILED_PRECONDITION"),
      "TLS that nobody asked for is checked, too",
    );
    await assert.rejects(visit({ servers, tls: { ca, serverName: "nats.example" } }), refused("FAILED_PRECONDITION"));
    await assert.rejects(
      visit({ servers, tls: { ca: join(server.directory, "none") } }),
      refused("FAILED_PRECONDITION"),
    );
  });

  it("checks the address when there is no name, and not a name that nobody gave", async () => {
    const certificate = selfSigned({ forAddress: false });
    await using server = await startNats({ tls: certificate });
    const ca = join(server.directory, "ca.pem");
    await writeFile(ca, certificate.cert);
    await assert.rejects(visit({ servers: [server.address], tls: { ca } }), refused("FAILED_PRECONDITION"));
    await visit({ servers: [server.address], tls: { ca, serverName: "localhost" } });
  });

  it("shows a certificate of its own to a server that asks for one", async () => {
    const [certificate, own] = [selfSigned(), selfSigned()];
    await using server = await startNats({ tls: { ...certificate, clientCa: own.cert } });
    const files = { ca: certificate.cert, cert: own.cert, key: own.key };
    const tls: Record<string, string> = {};
    for (const [name, text] of Object.entries(files)) {
      tls[name] = join(server.directory, `own-${name}.pem`);
      await writeFile(tls[name], text);
    }
    await visit({ servers: [server.address], tls });
    await assert.rejects(
      visit({ servers: [server.address], tls: { ca: tls.ca }, connectTimeoutMs: 500 }),
      RuntimeError,
    );
  });

  it("is insisted on where tls is set", async () => {
    await using server = await startNats();
    await assert.rejects(visit({ servers: [server.address], tls: {} }), refused("FAILED_PRECONDITION"));
  });
});

describe("a NATS server that goes away", () => {
  it("fails what waits for its answer at once, and is told once each time", async () => {
    const { lines, told, changes } = recording();
    await using server = await startNats({ authorization: ["user: orders", "password: open-sesame"] });
    const settings = { servers: [server.address], username: "orders", password: "open-sesame" };
    await using connection = await open({ ...settings, requestTimeoutMs: 60_000 }, changes);
    connection.subscribe("silence", () => undefined);
    for (let round = 1; round <= 2; round++) {
      const waiting = Promise.allSettled(Array.from({ length: 5 }, () => connection.request("silence", "")));
      await connection.flush();
      await server.kill();
      for (const outcome of await waiting) {
        assert.ok(outcome.status === "rejected" && refused("UNAVAILABLE")(outcome.reason));
      }
      await assert.rejects(connection.request("silence", ""), refused("UNAVAILABLE"));
      assert.equal(connection.publish("silence"), false);
      await server.start();
      await eventually("it is back", () => told.length === 2 * round);
      await connection.flush();
    }
    assert.deepEqual(told, ["down", "up", "down", "up"]);
    assert.ok(lines.length >= 4 && lines.every((line) => !line.includes("open-sesame")), lines.join("\n"));
  });

  it("gives its subscriptions back with the connection", async () => {
    const { told, changes } = recording();
    await using server = await startNats();
    await using connection = await open({ servers: [server.address] }, changes);
    const heard: string[] = [];
    connection.subscribe("news", (message) => heard.push(message.string()));
    await connection.flush();
    await server.kill();
    await server.start();
    await eventually("it is back", () => told.includes("up"));
    connection.publish("news", "again");
    await eventually("the news has come", () => heard.includes("again"));
  });

  it("is given up when it says nothing any more, and found again when it does", async () => {
    const { told, changes } = recording();
    await using server = await startNats();
    const settings = {
      servers: [server.address],
      pingIntervalMs: 200,
      requestTimeoutMs: 1_500,
      connectTimeoutMs: 1_500,
    };
    await using connection = await open(settings, changes);
    await suspend(server.process.pid);
    await eventually("it says nothing any more", async () => {
      const [outcome] = await Promise.allSettled([connection.flush()]);
      return outcome.status === "rejected" && refused("UNAVAILABLE")(outcome.reason);
    });
    await eventually("it is given up", () => told.includes("down"));
    server.process.kill("SIGCONT");
    await eventually("it is back", () => told.at(-1) === "up");
    await connection.flush();
  });

  it("is told to be away as soon as calls go unanswered, and to be back when it answers, with the connection kept", async () => {
    const { told, changes } = recording();
    await using server = await startNats();
    const settings = { servers: [server.address], pingIntervalMs: 600_000, requestTimeoutMs: 300 };
    await using connection = await open(settings, changes);
    connection.subscribe("silence", () => undefined);
    await assert.rejects(connection.request("silence", ""), refused("UNAVAILABLE"));
    await connection.flush();
    assert.deepEqual(told, [], "who does not answer is not the server");
    for (const _ of ["once", "again"]) {
      await suspend(server.process.pid);
      await assert.rejects(connection.request("silence", ""), refused("UNAVAILABLE"));
      await eventually("it is told to be away", () => told.at(-1) === "down");
      server.process.kill("SIGCONT");
      await eventually("it is back", () => told.at(-1) === "up");
      await connection.flush();
    }
  });

  it("is tried on though it refuses the credentials for a while", async () => {
    const { told, lines, changes } = recording();
    await using server = await startNats({ authorization: ["user: orders", "password: open-sesame"] });
    const configuration = join(server.directory, "nats.conf");
    const restartWith = async (password: string): Promise<void> => {
      const text = await readFile(configuration, "utf8");
      await writeFile(configuration, text.replace(/password: .*/, `password: ${password}`));
      await server.kill();
      await server.start();
    };
    await using connection = await open(
      { servers: [server.address], username: "orders", password: "open-sesame" },
      changes,
    );
    await restartWith("another-word");
    await eventually("it was refused", () => lines.some((line) => line.includes("refuses the credentials")));
    assert.equal(told.at(-1), "down");
    await restartWith("open-sesame");
    await eventually("it is back", () => told.at(-1) === "up");
    await connection.flush();
    assert.ok(lines.every((line) => !line.includes("open-sesame")));
  });

  it("is UNAVAILABLE when it cannot be reached at first, and also when it says nothing", async () => {
    await assert.rejects(visit({ servers: ["127.0.0.1:1"] }), refused("UNAVAILABLE"));
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket.on("error", () => undefined).resume()));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = silent.address();
    assert.ok(typeof address === "object" && address !== null);
    await assert.rejects(
      visit({ servers: [`127.0.0.1:${address.port}`], connectTimeoutMs: 100 }),
      refused("UNAVAILABLE"),
    );
    await eventually("nothing is left of the attempt", () => sockets.every((socket) => socket.closed));
    silent.close();
  });
});
