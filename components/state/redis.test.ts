/** What the store on Redis does beside what every state store does: the layout, trouble with the server, ways to connect. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { callWith, eventually, unique } from "../../test/conformance/backend.ts";
import { selfSigned } from "../../test/support/certificate.ts";
import { openContext } from "../../test/support/open-context.ts";
import { recording } from "../../test/support/recording.ts";
import { type RedisServer, redisCli, startRedis, startSentinel } from "../../test/support/redis-server.ts";
import { freePort } from "../../test/support/server-process.ts";
import { setOf, textAt } from "../../test/support/state-access.ts";
import { suspend } from "../../test/support/suspend.ts";
import type { OpenContext } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { redisStateStore } from "./redis.ts";
import type { StateStore } from "./state-store.ts";

/** What a secret store would tell. */
const secret: OpenContext["secret"] = async (setting) => (typeof setting === "string" ? setting : "open sesame");

const open = (settings: object, changes: Partial<OpenContext> = {}): Promise<StateStore> =>
  redisStateStore.open(redisStateStore.config.parse(settings), openContext("orders", { secret, ...changes }));

const isUnavailable = (error: unknown): boolean =>
  error instanceof RuntimeError && error.code === "UNAVAILABLE" && error.message.includes("'orders'");

describe("state on Redis", () => {
  let server: RedisServer;
  let store: StateStore;
  before(async () => {
    server = await startRedis();
    store = await open({ url: `redis://${server.address}` });
  });
  after(async () => {
    await store[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  const get = (key: string) => store.get({ key, consistency: "strong" }, callWith());
  const cli = (...command: string[]): Promise<string> => redisCli(server, ...command);

  describe("lies there as Dapr and Layotto keep it", () => {
    it("as a hash with the fields data and version, under the key that the API made", async () => {
      await store.set(setOf("app||layout", "value"), callWith());
      const entry = await get("app||layout");
      assert.deepEqual((await cli("HGETALL", "app||layout")).split("\n"), ["data", "value", "version", entry?.etag]);
    });

    it("with versions that are numbers, to which they can add", async () => {
      const key = unique("shared");
      await store.set(setOf(key, "ours"), callWith());
      const etag = (await get(key))?.etag ?? "";
      assert.match(etag, /^\d{16}$/);
      await cli("HSET", key, "data", "theirs");
      const theirs = await cli("HINCRBY", key, "version", "1");
      assert.equal(Number(theirs), Number(etag) + 1);
      await assert.rejects(store.set(setOf(key, "late", { etag }), callWith()), { reason: "ETAG_MISMATCH" });
      await store.set(setOf(key, "ours again", { etag: theirs }), callWith());
      assert.equal(await cli("HGET", key, "data"), "ours again");
    });

    it("so that entries of theirs are read, and replaced by their version", async () => {
      const key = unique("theirs");
      await cli("HSET", key, "data", "theirs", "version", "1");
      assert.deepEqual(await get(key), { key, value: Buffer.from("theirs"), etag: "1" });
      await store.set(setOf(key, "ours", { etag: "1" }), callWith());
      assert.equal(await textAt(store, key), "ours");
    });

    it("and plain strings are read as well, with an etag of their content", async () => {
      const key = unique("plain");
      await cli("SET", key, "by hand");
      const first = await get(key);
      assert.equal(first?.value.toString(), "by hand");
      await cli("SET", key, "by hand again");
      await assert.rejects(store.set(setOf(key, "late", { etag: first?.etag ?? "" }), callWith()), {
        reason: "ETAG_MISMATCH",
      });
      const second = await get(key);
      await store.set(setOf(key, "a hash", { etag: second?.etag ?? "" }), callWith());
      assert.equal(await cli("TYPE", key), "hash");
      assert.equal(await textAt(store, key), "a hash");
    });

    it("while what is no state is told as such, and does no harm to the reads beside it", async () => {
      const [list, other] = [unique("list"), unique("other")];
      await cli("RPUSH", list, "a", "b");
      await store.set(setOf(other, "fine"), callWith());
      const [first, second] = await Promise.allSettled([get(list), get(other)]);
      assert.equal(first.status === "rejected" && first.reason.code, "INTERNAL");
      assert.match(
        first.status === "rejected" ? first.reason.message : "",
        /'orders' answered with an error: WRONGTYPE/,
      );
      assert.equal(second.status, "fulfilled");
      await assert.rejects(store.set(setOf(list, "x", { concurrency: "first-write" }), callWith()), {
        reason: "ETAG_MISMATCH",
      });
      await store.set(setOf(list, "replaced"), callWith());
      assert.equal(await textAt(store, list), "replaced");
    });
  });

  describe("lists its keys", () => {
    const all = async (prefix: string, limit = 100): Promise<readonly string[]> => {
      const keys: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await store.keys?.({ prefix, cursor, limit }, callWith());
        keys.push(...(page?.keys ?? []));
        cursor = page?.cursor;
      } while (cursor !== undefined);
      return [...new Set(keys)].sort();
    };

    it("and not what is no state, nor what nobody can ask for", async () => {
      const run = unique("listed");
      await store.set(setOf(`${run}-ours`, "x"), callWith());
      await cli("HSET", `${run}-theirs`, "data", "x");
      await cli("SET", `${run}-plain`, "x");
      await cli("HSET", `${run}-hash`, "colour", "red");
      await cli("XADD", `${run}-stream`, "*", "data", "x");
      await cli("EVAL", `return redis.call('SET', '${run}-\\255', 'x')`, "0");
      assert.deepEqual(await all(run), [`${run}-ours`, `${run}-plain`, `${run}-theirs`]);
    });

    it("a bounded piece at a time, however few of them are wanted", async () => {
      const run = unique("few");
      await cli("EVAL", `for i = 1, 30000 do redis.call('SET', '${unique("other")}-' .. i, 'x') end`, "0");
      await store.set(setOf(`${run}-1`, "x"), callWith());
      const first = await store.keys?.({ prefix: run, cursor: undefined, limit: 100 }, callWith());
      assert.notEqual(first?.cursor, undefined);
      assert.deepEqual(await all(run), [`${run}-1`]);
      await cli("FLUSHDB");
    });

    it("and refuses to go on where the server may know nothing of what came before", async () => {
      const run = unique("interrupted");
      await Promise.all(Array.from({ length: 50 }, (_, index) => store.set(setOf(`${run}-${index}`, "x"), callWith())));
      const page = await store.keys?.({ prefix: run, cursor: undefined, limit: 10 }, callWith());
      assert.notEqual(page?.cursor, undefined);
      await cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
      const outcome = async (): Promise<unknown> =>
        (async () => store.keys?.({ prefix: run, cursor: page?.cursor, limit: 10 }, callWith()))().then(
          () => "it goes on",
          (error: unknown) => (error instanceof RuntimeError ? error.reason : error),
        );
      await eventually("the connection is back", async () => (await outcome()) !== "REDIS_UNREACHABLE");
      assert.equal(await outcome(), "LISTING_INTERRUPTED");
    });
  });

  it("tells the end of a life that others have limited", async () => {
    const key = unique("limited");
    await cli("HSET", key, "data", "x", "version", "1");
    await cli("PEXPIRE", key, "600000");
    const expiresAtMs = (await get(key))?.expiresAtMs ?? 0;
    assert.ok(Math.abs(expiresAtMs - Date.now() - 600_000) < 60_000);
  });

  it("gives a server that has forgotten the scripts their text", async () => {
    const key = unique("forgotten");
    await store.set(setOf(key, "x"), callWith());
    await cli("SCRIPT", "FLUSH");
    assert.equal(await textAt(store, key), "x");
    await cli("SCRIPT", "FLUSH");
    await store.set(setOf(key, "y"), callWith());
    assert.equal(await textAt(store, key), "y");
  });

  it("refuses writes when the server has no memory left, and goes on when there is some", async () => {
    const key = unique("full");
    await cli("CONFIG", "SET", "maxmemory", "1");
    const writes = await Promise.allSettled([
      store.set(setOf(key, "x"), callWith()),
      store.set(setOf(`${key}-2`, "x"), callWith()),
      store.transact?.([{ operation: "set", set: setOf(key, "x") }], callWith()),
    ]);
    await cli("CONFIG", "SET", "maxmemory", "0");
    for (const write of writes) assert.equal(write.status === "rejected" && write.reason.code, "RESOURCE_EXHAUSTED");
    assert.equal(await get(key), undefined);
    await store.set(setOf(key, "x"), callWith());
  });

  describe("with access rules", () => {
    before(async () => {
      await cli("ACL", "SETUSER", "app", "on", ">open sesame", "~app||*", "+@all");
    });

    it("takes user and password from the settings, from the URL or from a secret store", async () => {
      const url = `redis://${server.address}`;
      const secretKeyRef = { store: "vault", name: "redis" };
      for (const settings of [
        { url, username: "app", password: "open sesame" },
        { url, username: "app", password: { secretKeyRef } },
        { url: `redis://app:open%20sesame@${server.address}/0` },
      ]) {
        await using mine = await open(settings);
        await mine.set(setOf("app||mine", "x"), callWith());
        assert.equal(await textAt(mine, "app||mine"), "x");
      }
    });

    it("tells a wrong password at once, without showing it", async () => {
      const { lines, changes } = recording();
      const settings = {
        url: `redis://${server.address}`,
        username: "app",
        password: "Tell-Nobody",
        connectTimeoutMs: 60_000,
      };
      await assert.rejects(open(settings, changes), (error) => {
        assert.ok(error instanceof RuntimeError && error.code === "UNAUTHENTICATED");
        assert.match(error.message, /the Redis of 'orders' refuses the connection: WRONGPASS/);
        assert.equal(JSON.stringify([error.message, error.cause, error.stack, lines]).includes("Tell-Nobody"), false);
        return true;
      });
    });

    it("lets a key that is out of bounds fail alone", async () => {
      await using mine = await open({ url: `redis://${server.address}`, username: "app", password: "open sesame" });
      const outcomes = await Promise.allSettled([
        mine.set(setOf("app||beside", "x"), callWith()),
        mine.set(setOf("other||beside", "x"), callWith()),
      ]);
      assert.deepEqual(
        outcomes.map(({ status }) => status),
        ["fulfilled", "rejected"],
      );
      const reads = await Promise.allSettled([textAt(mine, "other||beside"), textAt(mine, "app||beside")]);
      assert.equal(reads[0].status === "rejected" && reads[0].reason.reason, "REDIS_ACCESS_DENIED");
      assert.equal(reads[1].status === "fulfilled" && reads[1].value, "x");
    });
  });

  it("keeps to its database", async () => {
    const key = unique("db");
    await using third = await open({ url: `redis://${server.address}/3` });
    await using fourth = await open({ url: `redis://${server.address}/3`, db: 4 });
    await third.set(setOf(key, "three"), callWith());
    assert.equal(await get(key), undefined);
    assert.equal(await textAt(fourth, key), undefined);
    assert.equal(await redisCli(server, "-n", "3", "HGET", key, "data"), "three");
  });

  it("answers what was asked before it closes", async () => {
    const closing = await open({ url: `redis://${server.address}` });
    const key = unique("closing");
    const written = closing.set(setOf(key, "x"), callWith());
    await closing[Symbol.asyncDispose]();
    await written;
    assert.equal(await textAt(store, key), "x");
    await assert.rejects(textAt(closing, key), isUnavailable);
  });
});

describe("a Redis that is reached another way", () => {
  it("is not dialled where its URL is cut by a password that is not escaped, or names no server", () => {
    const wrong = [
      "redis://u:p@ss/w#SECRET@host:1x",
      "redis://u:p%ZZ@host:6379",
      "redis://u:12/SECRET@host",
      "redis://host:6379/SECRET",
      "redis://host:6379/0?SECRET",
      "redis://host:6379#SECRET",
      "redis://host:99999999",
      "redis://host:0",
      "redis:///0",
      "http://host:6379",
    ];
    for (const url of wrong) {
      const { error } = redisStateStore.config.safeParse({ url });
      assert.equal(error?.issues.length, 1, url);
      const [issue] = error.issues;
      assert.match(issue?.message ?? "", /^expected redis:\/\/HOST:PORT/);
      assert.doesNotMatch(issue?.message ?? "", /SECRET/);
    }
    const right = ["redis://u:p%23@host", "redis://host:6379/", "rediss://[::1]:6379/3", "unix:/tmp/redis.sock"];
    for (const url of right) assert.equal(redisStateStore.config.safeParse({ url }).error, undefined, url);
  });

  it("by TLS with files that are none is refused for good, and says which", async () => {
    await using place = await startRedis();
    const [one, other] = [selfSigned(), selfSigned()];
    const texts = { cert: one.cert, key: one.key, otherKey: other.key, text: "no PEM" };
    const files = Object.fromEntries(Object.keys(texts).map((name) => [name, join(place.directory, `${name}.pem`)]));
    await Promise.all(Object.entries(texts).map(([name, text]) => writeFile(files[name] ?? "", text)));
    const { cert, key, otherKey, text } = files;
    for (const [tls, said] of [
      [{ ca: text }, /the file '.*text\.pem' of ca holds no certificate in PEM$/],
      [{ ca: key }, /the file '.*key\.pem' of ca holds no certificate in PEM$/],
      [{ cert: text, key }, /the file '.*text\.pem' of cert holds no certificate in PEM$/],
      [{ cert, key: text }, /the file '.*text\.pem' of key holds no private key in PEM that needs no password$/],
      [
        { cert, key: otherKey },
        /the certificate in '.*cert\.pem' is not that of the private key in '.*otherKey\.pem'$/,
      ],
      [{ cert: join(place.directory, "none.pem"), key }, /the file '.*none\.pem' of cert cannot be read: ENOENT$/],
    ] as const) {
      await assert.rejects(open({ url: `redis://${place.address}`, tls }), (error) => {
        assert.ok(error instanceof RuntimeError);
        assert.deepEqual([error.code, error.reason], ["FAILED_PRECONDITION", "TLS_FILES_UNUSABLE"]);
        assert.match(error.message, /^the Redis of 'orders' cannot use its tls: /);
        assert.match(error.message, said);
        return true;
      });
    }
  });

  it("by TLS is trusted by its authority only", async () => {
    const { key, cert } = selfSigned();
    await using place = await startRedis();
    const [keyFile, certFile] = [join(place.directory, "key.pem"), join(place.directory, "cert.pem")];
    await Promise.all([writeFile(keyFile, key), writeFile(certFile, cert)]);
    const port = String(await freePort());
    const files = ["--tls-key-file", keyFile, "--tls-cert-file", certFile, "--tls-ca-cert-file", certFile];
    await using _server = await startRedis("--tls-port", port, ...files, "--tls-auth-clients", "no");
    const url = `rediss://localhost:${port}`;
    await using store = await open({ url, tls: { ca: certFile } });
    await store.set(setOf("k", "v"), callWith());
    assert.equal(await textAt(store, "k"), "v");
    await assert.rejects(open({ url, connectTimeoutMs: 2_000 }), (error) => {
      assert.ok(isUnavailable(error) && error instanceof RuntimeError);
      assert.match(error.message, /certificate/);
      return true;
    });
  });

  it("by a socket of the machine", async () => {
    await using place = await startRedis();
    const path = join(place.directory, "redis.sock");
    await using _server = await startRedis("--unixsocket", path);
    await using store = await open({ url: `unix:${path}` });
    await store.set(setOf("k", "v"), callWith());
    assert.equal(await textAt(store, "k"), "v");
  });
});

describe("a Redis in trouble", () => {
  it("that is not there is told when the component is opened", async () => {
    const gone = await startRedis();
    await gone[Symbol.asyncDispose]();
    const settings = { url: `redis://user:Tell-Nobody@${gone.address}`, connectTimeoutMs: 300 };
    await assert.rejects(open(settings), (error) => {
      assert.ok(isUnavailable(error) && error instanceof RuntimeError);
      assert.match(error.message, /ECONNREFUSED 127\.0\.0\.1/);
      assert.doesNotMatch(error.message, /Tell-Nobody/);
      return true;
    });
  });

  it("is told as such when something else answers in its place", async () => {
    await using server = createServer((_, response) => response.end());
    await once(server.listen(0, "127.0.0.1"), "listening");
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    const { reasons, changes } = recording();
    const said = "what answers there does not speak as Redis does";
    await assert.rejects(open({ url: `redis://127.0.0.1:${address.port}`, connectTimeoutMs: 300 }, changes), {
      code: "UNAVAILABLE",
      message: `the Redis of 'orders' cannot be reached: ${said}`,
    });
    assert.deepEqual(reasons, [said]);
  });

  it("that comes a little later is waited for", async () => {
    const server = await startRedis();
    server.process.kill("SIGKILL");
    await once(server.process, "close");
    const opening = open({ url: `redis://${server.address}`, connectTimeoutMs: 30_000 });
    await using later = await startRedis("--port", String(server.port));
    await using store = await opening;
    await store.set(setOf("k", "v"), callWith());
    assert.equal(await redisCli({ ...later, port: server.port }, "HGET", "k", "data"), "v");
    await server[Symbol.asyncDispose]();
  });

  it("that goes away fails calls at once, and is found again when it is back", async () => {
    const { lines, told, reasons, changes } = recording();
    const server = await startRedis();
    await using store = await open({ url: `redis://${server.address}` }, changes);
    await store.set(setOf("k", "v"), callWith());
    await suspend(server.process.pid);
    const waiting = store.set(setOf("k", "w"), callWith());
    const refused = assert.rejects(waiting, isUnavailable);
    await new Promise(setImmediate);
    server.process.kill("SIGKILL");
    await refused;
    await eventually("calls are refused", () => textAt(store, "k").then(() => false, isUnavailable));
    await using again = await startRedis("--port", String(server.port));
    await eventually("the store is back", () =>
      store.set(setOf("k", "x"), callWith()).then(
        () => true,
        () => false,
      ),
    );
    assert.equal(await redisCli({ ...again, port: server.port }, "HGET", "k", "data"), "x");
    assert.equal(lines.filter((line) => line.includes("cannot be reached")).length, 1);
    assert.equal(lines.filter((line) => line.includes("is back")).length, 1);
    assert.deepEqual(told, ["down", "up"]);
    assert.match(reasons[0] ?? "", /\w/);
    await server[Symbol.asyncDispose]();
  });

  it("that hangs is given up after replyTimeoutMs, and taken back when it goes on", async () => {
    await using server = await startRedis();
    await using store = await open({ url: `redis://${server.address}`, replyTimeoutMs: 1_500 });
    await store.set(setOf("k", "v"), callWith());
    await suspend(server.process.pid);
    await assert.rejects(textAt(store, "k"), isUnavailable);
    server.process.kill("SIGCONT");
    await eventually("the store is back", () =>
      textAt(store, "k").then(
        (text) => text === "v",
        () => false,
      ),
    );
  });
});

describe("Redis in more than one process", () => {
  it("as a cluster has each key on its server; what is changed together needs one slot", async () => {
    const node = async (): Promise<RedisServer> =>
      startRedis("--cluster-enabled", "yes", "--cluster-port", String(await freePort()));
    await using first = await node();
    await using second = await node();
    const busOf = async (server: RedisServer): Promise<string> =>
      (await redisCli(server, "CONFIG", "GET", "cluster-port")).split("\n")[1] ?? "";
    await redisCli(first, "CLUSTER", "ADDSLOTSRANGE", "0", "8191");
    await redisCli(second, "CLUSTER", "ADDSLOTSRANGE", "8192", "16383");
    await redisCli(first, "CLUSTER", "MEET", "127.0.0.1", String(second.port), await busOf(second));
    for (const server of [first, second]) {
      await eventually("the cluster is whole", async () => {
        const info = await redisCli(server, "CLUSTER", "INFO");
        return info.includes("cluster_state:ok") && info.includes("cluster_known_nodes:2");
      });
    }
    // Only one is told: the other is found.
    await using store = await open({ cluster: [first.address] });
    const keys = Array.from({ length: 40 }, (_, index) => `key-${index}`);
    await Promise.all(keys.map((key) => store.set(setOf(key, key), callWith())));
    assert.deepEqual(await Promise.all(keys.map((key) => textAt(store, key))), keys);
    for (const server of [first, second]) assert.ok(Number(await redisCli(server, "DBSIZE")) > 0);

    const change = (...changed: string[]) =>
      store.transact?.(
        changed.map((key) => ({ operation: "set", set: setOf(key, "changed") })),
        callWith(),
      );
    await change("{customer-1}a", "{customer-1}b");
    assert.equal(await textAt(store, "{customer-1}b"), "changed");
    await assert.rejects(async () => change("a", "b", "c"), {
      code: "FAILED_PRECONDITION",
      message: /'orders' is a cluster .* common \{tag\}/,
    });
  });

  it("does not open when no sentinel answers, and says so without the client's waits", async () => {
    const sentinel = { master: "main", nodes: [`127.0.0.1:${await freePort()}`] };
    await assert.rejects(open({ sentinel, connectTimeoutMs: 1_000 }), (error: Error) => {
      assert.match(error.message, /All sentinels are unreachable\. Last error: /);
      assert.doesNotMatch(error.message, /from scratch|\d\.\d+ms/);
      return true;
    });
  });

  it("with sentinels is found through them, also after another server has taken over", async () => {
    await using first = await startRedis();
    await using second = await startRedis("--replicaof", `127.0.0.1 ${first.port}`);
    await eventually("the replica follows", async () =>
      (await redisCli(second, "INFO", "replication")).includes("master_link_status:up"),
    );
    await using sentinel = await startSentinel("main", first);
    await eventually("the sentinel knows the replica", async () =>
      (await redisCli(sentinel, "SENTINEL", "REPLICAS", "main")).includes(String(second.port)),
    );
    await using store = await open({ sentinel: { master: "main", nodes: [sentinel.address] } });
    await store.set(setOf("k", "before"), callWith());
    assert.equal(await redisCli(first, "HGET", "k", "data"), "before");
    await eventually("the replica has it", async () => (await redisCli(second, "HGET", "k", "data")) === "before");
    await redisCli(sentinel, "SENTINEL", "FAILOVER", "main");
    await eventually("the other server is written to", async () => {
      await store.set(setOf("k", "after"), callWith()).catch(() => undefined);
      return (await redisCli(second, "HGET", "k", "data")) === "after";
    });
  });
});
