/** What the store on etcd does beside what every state store does: its limits, users and TLS, trouble with the server. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { callWith, eventually, silentLog, unique } from "../../test/conformance/backend.ts";
import { selfSigned } from "../../test/support/certificate.ts";
import { type EtcdServer, startEtcd, startEtcdCluster } from "../../test/support/etcd-server.ts";
import { openContext } from "../../test/support/open-context.ts";
import { recording } from "../../test/support/recording.ts";
import { freePort } from "../../test/support/server-process.ts";
import { setOf, textAt } from "../../test/support/state-access.ts";
import { suspend } from "../../test/support/suspend.ts";
import type { OpenContext } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { etcdStateStore } from "./etcd.ts";
import type { SetState, StateOperation, StateStore } from "./state-store.ts";

const open = (settings: object, changes: Partial<OpenContext> = {}): Promise<StateStore> =>
  etcdStateStore.open(etcdStateStore.config.parse(settings), openContext("orders", changes));

const put = (key: string, changes: Partial<SetState> = {}): StateOperation => ({
  operation: "set",
  set: setOf(key, key, changes),
});

describe("state on etcd", () => {
  let server: EtcdServer;
  let store: StateStore;
  before(async () => {
    server = await startEtcd();
    store = await open({ endpoints: [server.address] });
  });
  after(async () => {
    await store[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  it("lies below the prefix, with the end of its life before the value", async () => {
    const key = unique("layout");
    await store.set(setOf(key, "value"), callWith());
    const value = await server.ctl("get", "--print-value-only", `outrigger/state/${key}`);
    assert.ok(value.endsWith("\u0001value"));
  });

  it("is removed by the server some time after its life has ended, by a lease that entries share", async () => {
    const [one, other] = [unique("one"), unique("other")];
    await store.set(setOf(one, "x", { ttlMs: 10_000 }), callWith());
    await store.set(setOf(other, "x", { ttlMs: 10_001 }), callWith());
    const leaseOf = async (key: string): Promise<string | undefined> =>
      /"lease":(\d+)/.exec(await server.ctl("get", "--write-out=json", `outrigger/state/${key}`))?.[1];
    const lease = await leaseOf(one);
    assert.ok(lease !== undefined);
    const words = await server.ctl("lease", "timetolive", BigInt(lease).toString(16));
    const [, seconds] = /granted with TTL\((\d+)s\)/.exec(words) ?? [];
    assert.ok(Number(seconds) >= 10 && Number(seconds) <= 71, words);
  });

  it("takes another lease when the server knows the shared one no more", async () => {
    await store.set(setOf(unique("limited"), "x", { ttlMs: 500_000 }), callWith());
    for (const lease of (await server.ctl("lease", "list")).split("\n").slice(1)) {
      await server.ctl("lease", "revoke", lease);
    }
    const keys = [unique("after"), unique("after")];
    await Promise.all(keys.map((key) => store.set(setOf(key, "x", { ttlMs: 500_000 }), callWith())));
    assert.deepEqual(await Promise.all(keys.map((key) => textAt(store, key))), ["x", "x"]);
  });

  it("tells what is no entry of a state store as such", async () => {
    const key = unique("foreign");
    await server.ctl("put", `outrigger/state/${key}`, "plain");
    await assert.rejects(store.get({ key, consistency: "strong" }, callWith()), { reason: "STATE_ENTRY_UNREADABLE" });
  });

  it("lists the keys below its prefix, of hundreds with a limit of life too, and none beside it", async () => {
    await using other = await open({ endpoints: [server.address], prefix: "outrigger/states/" });
    const run = unique("listed");
    const keys = Array.from({ length: 250 }, (_, index) => `${run}-${index}`).sort();
    await Promise.all(keys.map((key) => store.set(setOf(key, "x", { ttlMs: 600_000 }), callWith())));
    const short = Array.from({ length: 10 }, (_, index) => `${run}-short-${index}`);
    await Promise.all(short.map((key) => store.set(setOf(key, "x", { ttlMs: 1 }), callWith())));
    await other.set(setOf(`${run}-beside`, "x"), callWith());
    await eventually("they have expired", async () =>
      (await Promise.all(short.map((key) => textAt(store, key)))).every((text) => text === undefined),
    );
    const page = await store.keys?.({ prefix: run, cursor: undefined, limit: 1_000 }, callWith());
    assert.deepEqual(page, { keys, cursor: undefined });
    const beside = await other.keys?.({ prefix: "", cursor: undefined, limit: 1_000 }, callWith());
    assert.deepEqual(beside?.keys, [`${run}-beside`]);
  });

  it("replaces an expired entry in a transaction that wants none to be there", async () => {
    const key = unique("expired");
    await store.set(setOf(key, "old", { ttlMs: 1 }), callWith());
    await eventually("the entry has expired", async () => (await textAt(store, key)) === undefined);
    await store.transact?.([put(key, { concurrency: "first-write" })], callWith());
    assert.equal(await textAt(store, key), key);
  });

  it("lets later operations of a transaction meet what earlier ones leave", async () => {
    const key = unique("folded");
    const drop: StateOperation = { operation: "delete", delete: { key, concurrency: "last-write" } };
    const first = put(key, { concurrency: "first-write" });
    await store.transact?.([put(key), drop, first], callWith());
    assert.equal(await textAt(store, key), key);
    const etag = (await store.get({ key, consistency: "strong" }, callWith()))?.etag ?? "";
    await assert.rejects(async () => store.transact?.([drop, first, first], callWith()), { reason: "ETAG_MISMATCH" });
    await assert.rejects(async () => store.transact?.([put(key), put(key, { etag })], callWith()), {
      reason: "ETAG_MISMATCH",
    });
    await store.transact?.([put(key, { etag }), drop], callWith());
    assert.equal(await textAt(store, key), undefined);
  });

  it("names the server's option when a transaction has more conditions than it takes", async () => {
    const operations = Array.from({ length: 200 }, (_, index) =>
      put(unique(`guarded-${index}`), { concurrency: "first-write" }),
    );
    await assert.rejects(async () => store.transact?.(operations, callWith()), /'orders'.*--max-txn-ops/);
  });

  it("names the server's option when a value is larger than it takes, and does no harm to writes beside it", async () => {
    const [large, small] = [unique("large"), unique("small")];
    const writes = [setOf(large, "x".repeat(3 * 1024 ** 2)), setOf(small, "x")];
    const [refused, done] = await Promise.allSettled(writes.map((set) => store.set(set, callWith())));
    assert.ok(refused?.status === "rejected" && refused.reason instanceof RuntimeError);
    assert.match(refused.reason.message, /--max-request-bytes/);
    assert.equal(done?.status, "fulfilled");
    assert.equal(await textAt(store, small), "x");
  });

  it("is found behind an endpoint that does not answer", async () => {
    const { told, changes } = recording();
    await using other = await open({ endpoints: [`127.0.0.1:${await freePort()}`, server.address] }, changes);
    const key = unique("behind");
    await other.set(setOf(key, "x"), callWith());
    assert.equal(await textAt(store, key), "x");
    assert.deepEqual(told, []);
  });
});

describe("state on an etcd", () => {
  it("that goes away and comes back loses nothing that was acknowledged, and both are told once", async () => {
    await using server = await startEtcd();
    const { told, changes } = recording();
    await using store = await open({ endpoints: [server.address], requestTimeoutMs: 2_000 }, changes);
    const acknowledged: string[] = [];
    const work = async (from: number): Promise<void> => {
      for (let index = from; index < from + 100; index++) {
        const key = `key-${index}`;
        await store.set(setOf(key, key), callWith()).then(
          () => acknowledged.push(key),
          (error: unknown) => assert.equal(error instanceof RuntimeError && error.code, "UNAVAILABLE"),
        );
      }
    };
    const writing = Promise.all([work(0), work(100), work(200)]);
    await eventually("some were acknowledged", () => acknowledged.length > 20);
    await server.kill();
    await writing;
    await eventually("it was told that the server is away", () => told.length > 0);
    await server.start();
    await eventually("it was told that the server is back", () => told.at(-1) === "up");
    for (const key of acknowledged) assert.equal(await textAt(store, key), key);
    assert.deepEqual(
      told.map((word) => word.slice(0, 4)),
      ["down", "up"],
    );
  });

  it("of several members serves while most of them are there, whichever was spoken to, and loses nothing", async () => {
    const servers = await startEtcdCluster(3);
    await using stack = new AsyncDisposableStack();
    for (const server of servers) stack.use(server);
    const endpoints = servers.map(({ address }) => address);
    const store = stack.use(await open({ endpoints, requestTimeoutMs: 2_000 }));
    const acknowledged: string[] = [];
    const save = async (key: string): Promise<boolean> => {
      const [outcome] = await Promise.allSettled([store.set(setOf(key, key), callWith())]);
      if (outcome.status === "fulfilled") acknowledged.push(key);
      return outcome.status === "fulfilled";
    };
    for (const [round, server] of servers.entries()) {
      for (let index = 0; index < 20; index++) await save(`key-${round}-${index}`);
      await server.kill();
      await eventually("the others serve", () => save(`without-${round}`));
      await server.start();
    }
    for (const key of acknowledged) {
      await eventually(`'${key}' is read`, async () => (await textAt(store, key).catch(() => undefined)) === key);
    }
    assert.ok(acknowledged.length > 20, `${acknowledged.length} were acknowledged`);
  });

  it("that hangs fails calls in time, and serves when it goes on", async () => {
    await using server = await startEtcd();
    const { told, changes } = recording();
    await using store = await open({ endpoints: [server.address], requestTimeoutMs: 2_000 }, changes);
    await store.set(setOf("key", "x"), callWith());
    await suspend(server.process.pid);
    await assert.rejects(store.get({ key: "key", consistency: "strong" }, callWith()), { code: "UNAVAILABLE" });
    await eventually("it was told that the server is away", () => told.length > 0);
    server.process.kill("SIGCONT");
    await eventually("it was told that the server is back", () => told.at(-1) === "up");
    assert.equal(await textAt(store, "key"), "x");
  });

  it("with users takes user and password, and a new token after the server has forgotten the old one", async () => {
    await using server = await startEtcd({ rootPassword: "sesame" });
    await server.ctl("role", "add", "app");
    await server.ctl("role", "grant-permission", "app", "--prefix=true", "readwrite", "app/");
    await server.ctl("user", "add", "app:open-up");
    await server.ctl("user", "grant-role", "app", "app");
    const settings = {
      endpoints: [server.address],
      username: "app",
      password: { secretKeyRef: { store: "vault", name: "etcd" } },
      prefix: "app/",
    };
    await using store = await open(settings, { secret: async () => "open-up" });
    await Promise.all(["a", "b", "c"].map((key) => store.set(setOf(key, key), callWith())));
    await store.transact?.([put("d", { concurrency: "first-write" }), put("e", { ttlMs: 60_000 })], callWith());
    await server.kill();
    await server.start();
    await eventually("it serves again", async () => (await textAt(store, "a").catch(() => undefined)) === "a");
    await store.set(setOf("a", "again"), callWith());
  });

  it("with users refuses others with one sentence that holds no secret", async () => {
    await using server = await startEtcd({ rootPassword: "sesame" });
    const { lines, changes } = recording();
    const wrong = { endpoints: [server.address], username: "root", password: "wrong-password" };
    await assert.rejects(open(wrong, changes), (error: unknown) => {
      assert.ok(error instanceof RuntimeError);
      assert.deepEqual([error.code, error.reason], ["FAILED_PRECONDITION", "ETCD_ACCESS_DENIED"]);
      assert.match(error.message, /^the etcd of 'orders' refuses the user/);
      lines.push(`${error.stack} ${JSON.stringify(error)}`);
      return true;
    });
    await assert.rejects(open({ endpoints: [server.address] }, changes), /'orders' wants a user/);
    await server.ctl("user", "add", "nobody:open-up");
    const powerless = { endpoints: [server.address], username: "nobody", password: "open-up" };
    await assert.rejects(open(powerless, changes), { reason: "ETCD_ACCESS_DENIED" });
    await using _ = await open({ endpoints: [server.address], username: "root", password: "sesame" }, changes);
    assert.ok(!/wrong-password|open-up|sesame/.test(lines.join("\n")));
  });

  it("without users takes a component that comes with one", async () => {
    await using server = await startEtcd();
    await using store = await open({ endpoints: [server.address], username: "app", password: "unused" });
    await store.set(setOf("key", "x"), callWith());
    assert.equal(await textAt(store, "key"), "x");
  });

  it("with TLS is trusted by its authority only, and trusts the client's certificate", async () => {
    const certificate = selfSigned();
    await using server = await startEtcd({ tls: { ...certificate, clientCa: certificate.cert } });
    const [ca, key] = [join(server.directory, "ca.pem"), join(server.directory, "client-key.pem")];
    await writeFile(ca, certificate.cert);
    await writeFile(key, certificate.key);
    const endpoints = [server.address];
    await using store = await open({ endpoints, tls: { ca, cert: ca, key } });
    await store.set(setOf("key", "x"), callWith());
    assert.equal(await textAt(store, "key"), "x");
    await using named = await open({ endpoints, tls: { ca, cert: ca, key, serverName: "localhost" } });
    assert.equal(await textAt(named, "key"), "x");
    const quick = { connectTimeoutMs: 200 };
    const elsewhere = { ca, cert: ca, key, serverName: "elsewhere" };
    await assert.rejects(open({ endpoints, ...quick, tls: elsewhere }), { code: "UNAVAILABLE" });
    await assert.rejects(open({ endpoints, ...quick, tls: {} }), { code: "UNAVAILABLE" });
    await assert.rejects(open({ endpoints, ...quick, tls: { ca } }), { code: "UNAVAILABLE" });
    await assert.rejects(open({ endpoints, ...quick }), { code: "UNAVAILABLE" });
    const missing = { ca: join(server.directory, "missing.pem") };
    await assert.rejects(open({ endpoints, tls: missing }), { reason: "TLS_FILES_UNUSABLE" });
  });

  it("that is not there is told when the component is opened", async () => {
    const endpoints = [`127.0.0.1:${await freePort()}`];
    await assert.rejects(open({ endpoints, connectTimeoutMs: 200 }, { log: silentLog }), (error: unknown) => {
      assert.ok(error instanceof RuntimeError && error.code === "UNAVAILABLE");
      assert.match(error.message, /^the etcd of 'orders' cannot be reached: connect ECONNREFUSED [\d.:]+$/);
      return true;
    });
  });
});
