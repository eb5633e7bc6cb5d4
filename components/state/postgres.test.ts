/** What the store on Postgres does beside what every state store does: the layout, rights, and trouble with the server. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { callWith, eventually } from "../../test/conformance/backend.ts";
import { selfSigned } from "../../test/support/certificate.ts";
import { openContext } from "../../test/support/open-context.ts";
import { type PostgresServer, startPostgres } from "../../test/support/postgres-server.ts";
import { recording } from "../../test/support/recording.ts";
import { setOf, textAt } from "../../test/support/state-access.ts";
import { suspend } from "../../test/support/suspend.ts";
import { openPostgres, type PostgresConnection } from "../clients/postgres.ts";
import { postgresSettings } from "../clients/postgres-settings.ts";
import type { OpenContext } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { postgresStateStore } from "./postgres.ts";
import type { StateStore } from "./state-store.ts";

const open = (settings: object, changes: Partial<OpenContext> = {}): Promise<StateStore> =>
  postgresStateStore.open(postgresStateStore.config.parse(settings), openContext("orders", changes));

const isUnavailable = (error: unknown): boolean =>
  error instanceof RuntimeError && error.code === "UNAVAILABLE" && error.message.includes("'orders'");

/** The process and its children: the server puts each of them into a session of its own. */
async function familyOf(parent: number | undefined): Promise<readonly number[]> {
  assert.ok(parent !== undefined);
  const { stdout } = await promisify(execFile)("ps", ["-A", "-o", "pid=,ppid="]);
  const rows = stdout
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
  return [parent, ...rows.flatMap(([pid, of]) => (pid !== undefined && of === parent ? [pid] : []))];
}

describe("state in Postgres", () => {
  let server: PostgresServer;
  let admin: PostgresConnection;
  before(async () => {
    server = await startPostgres();
    admin = await openPostgres(postgresSettings.parse({ url: server.url }), openContext("admin"));
  });
  after(async () => {
    await admin[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  const sql = async (text: string) => (await admin.run({ text })).rows;

  it("lies in a table that is named for the component, under the bytes of its key", async () => {
    await using store = await open({ url: server.url });
    await store.set(setOf("app||ключ", "value", { ttlMs: 600_000 }), callWith());
    const [row] = await sql(
      "SELECT convert_from(key, 'UTF8'), convert_from(value, 'UTF8'), etag, expires_at > now() FROM state_orders",
    );
    const etag = (await store.get({ key: "app||ключ", consistency: "strong" }, callWith()))?.etag;
    assert.deepEqual(row, ["app||ключ", "value", etag, true]);
  });

  it("lists the keys that it keeps whole, from an index", async () => {
    await using store = await open({ url: server.url, table: "listed" });
    for (const key of ["a", "b".repeat(1_024), "b".repeat(1_025), "c"]) await store.set(setOf(key, "x"), callWith());
    const page = await store.keys?.({ prefix: "", cursor: undefined, limit: 3 }, callWith());
    assert.deepEqual(page?.keys, ["a", "b".repeat(1_024), "c"]);
    const last = await store.keys?.({ prefix: "", cursor: page?.cursor, limit: 3 }, callWith());
    assert.deepEqual(last, { keys: [], cursor: undefined });
    const listing = "SELECT key FROM listed WHERE key >= 'a' AND key < 'b' ORDER BY key LIMIT 3";
    const steps = ["SET LOCAL enable_seqscan = off", "SET LOCAL enable_bitmapscan = off", `EXPLAIN ${listing}`];
    const results = await admin.transact(steps.map((text) => ({ text })));
    const plan = results.flatMap(({ rows }) => rows.flat());
    assert.match(plan.join("\n"), /Index (Only )?Scan using listed_pkey.*Index Cond/s);
  });

  it("goes to the table and the schema of the settings, each made when there is none", async () => {
    const settings = { url: server.url, schema: "shop", table: "Carts" };
    await using one = await open(settings);
    await using other = await open(settings);
    await one.set(setOf("k", "v"), callWith());
    assert.equal(await textAt(other, "k"), "v");
    assert.deepEqual(await sql('SELECT count(*)::int4 FROM shop."Carts"'), [[1]]);
    await using elsewhere = await open({ url: server.url });
    assert.equal(await textAt(elsewhere, "k"), undefined);
  });

  it("is opened by many at once on a database that is empty", async () => {
    const opened = await Promise.all(Array.from({ length: 8 }, () => open({ url: server.url, schema: "fresh" })));
    assert.deepEqual(await sql("SELECT count(*)::int4 FROM pg_indexes WHERE schemaname = 'fresh'"), [[2]]);
    for (const store of opened) await store[Symbol.asyncDispose]();
  });

  it("needs no right but to read and write a table that is there", async () => {
    await sql("CREATE ROLE app LOGIN");
    await sql("CREATE DATABASE shared");
    await using own = await open({ url: `${server.url}/shared`, table: "granted" });
    await own.set(setOf("k", "v"), callWith());
    const settings = postgresSettings.parse({ url: `${server.url}/shared` });
    await using shared = await openPostgres(settings, openContext("shared"));
    await shared.run({ text: "REVOKE CREATE ON SCHEMA public FROM PUBLIC" });
    await shared.run({ text: "GRANT SELECT, INSERT, UPDATE, DELETE ON granted TO app" });
    await using mine = await open({ url: `${server.url}/shared`, username: "app", table: "granted" });
    await mine.set(setOf("k", "w"), callWith());
    assert.equal(await textAt(own, "k"), "w");
    const refused = open({ url: `${server.url}/shared`, username: "app", table: "another" });
    await assert.rejects(refused, {
      code: "FAILED_PRECONDITION",
      message: /the Postgres of 'orders' lacks a table or a right: permission denied for schema public/,
    });
  });

  it("lets a row that somebody holds fail alone, in time", async () => {
    await using store = await open({ url: server.url, table: "held", replyTimeoutMs: 1_500 });
    await store.set(setOf("held", "before"), callWith());
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const { promise: held, resolve: isHeld } = Promise.withResolvers<void>();
    const { Client } = await import("pg");
    const holder = new Client({ host: "127.0.0.1", port: server.port, user: "postgres", database: "postgres" });
    const holding = (async () => {
      await holder.connect();
      await holder.query("BEGIN");
      await holder.query("SELECT * FROM held FOR UPDATE");
      isHeld();
      await released;
      await holder.end();
    })();
    await held;
    const keys = ["a", "held", "z"];
    const outcomes = await Promise.allSettled(keys.map((key) => store.set(setOf(key, "after"), callWith())));
    release();
    await holding;
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.ok(outcomes[1]?.status === "rejected" && isUnavailable(outcomes[1].reason));
    assert.deepEqual(await Promise.all(keys.map((key) => textAt(store, key))), ["after", "before", "after"]);
  });

  it("answers what was asked before it closes", async () => {
    const closing = await open({ url: server.url });
    const written = closing.set(setOf("closing", "last"), callWith());
    await closing[Symbol.asyncDispose]();
    await written;
    await using store = await open({ url: server.url });
    assert.equal(await textAt(store, "closing"), "last");
    await assert.rejects(textAt(closing, "closing"), isUnavailable);
  });
});

describe("a Postgres that asks who comes", () => {
  const tls = selfSigned();
  let server: PostgresServer;
  let ca: string;
  before(async () => {
    server = await startPostgres({ password: "open sesame", tls });
    ca = join(server.directory, "ca.pem");
    await writeFile(ca, tls.cert);
  });
  after(() => server[Symbol.asyncDispose]());

  it("takes the password from the settings or a secret store, by TLS and without", async () => {
    const reference = { secretKeyRef: { store: "vault", name: "postgres" } };
    const secret: OpenContext["secret"] = async (setting) => {
      if (typeof setting === "string") return setting;
      assert.deepEqual(setting, reference);
      return "open sesame";
    };
    const url = server.url.replace("127.0.0.1", "localhost");
    for (const settings of [
      { url: server.url, password: "open sesame" },
      { url: server.url, password: reference, tls: { ca } },
      { url, password: reference, tls: { ca, serverName: "localhost" } },
    ]) {
      await using store = await open(settings, { secret });
      await store.set(setOf("k", "v"), callWith());
      assert.equal(await textAt(store, "k"), "v");
    }
  });

  it("refuses a wrong or missing password with a sentence that does not show it", async () => {
    const { lines, changes } = recording();
    for (const password of ["Tell-Nobody", undefined]) {
      await assert.rejects(open({ url: server.url, password }, changes), (error) => {
        assert.ok(error instanceof RuntimeError && error.code === "UNAUTHENTICATED", String(error));
        assert.match(error.message, /^the Postgres of 'orders' \w/);
        assert.equal(JSON.stringify([error.message, error.cause, error.stack, lines]).includes("Tell-Nobody"), false);
        return true;
      });
    }
  });

  it("is trusted by its authority and under its name only", async () => {
    const settings = { url: server.url, password: "open sesame" };
    for (const distrustful of [{}, { ca, serverName: "elsewhere" }]) {
      await assert.rejects(open({ ...settings, tls: distrustful }), {
        code: "FAILED_PRECONDITION",
        message: /certificate/,
      });
    }
  });

  it("is not asked with files that are none, or at an address that is none", async () => {
    const none = join(server.directory, "none.pem");
    await writeFile(none, "no PEM");
    await assert.rejects(open({ url: server.url, tls: { ca: none } }), {
      code: "FAILED_PRECONDITION",
      message: `the Postgres of 'orders' cannot use its tls: the file '${none}' of ca holds no certificate in PEM`,
    });
    for (const url of [
      "postgres://host:99999999",
      "postgres://host:0",
      "postgres://host/a%ZZ",
      "postgres://u:p@host",
    ]) {
      const { error } = postgresSettings.safeParse({ url });
      assert.deepEqual(
        [error?.issues.length, error?.issues[0]?.message.slice(0, 20)],
        [1, "expected postgres://"],
        url,
      );
    }
    const folder = { url: "postgres://%2Fvar%2Frun/orders" };
    assert.equal(postgresSettings.safeParse(folder).error, undefined);
  });

  it("that speaks no TLS is not spoken to without", async () => {
    await using plain = await startPostgres();
    await assert.rejects(open({ url: plain.url, tls: { ca } }), { code: "UNAUTHENTICATED", message: /SSL/ });
  });
});

describe("a Postgres in trouble", () => {
  it("that is not there is told when the component is opened", async () => {
    const gone = await startPostgres();
    await gone[Symbol.asyncDispose]();
    await assert.rejects(open({ url: gone.url }), (error) => {
      assert.ok(isUnavailable(error) && error instanceof RuntimeError);
      assert.match(error.message, /ECONNREFUSED 127\.0\.0\.1/);
      return true;
    });
  });

  it("that is killed in the middle has everything that it acknowledged, and is told once", async () => {
    await using server = await startPostgres({ password: "open sesame" });
    const { lines, told, changes } = recording();
    await using store = await open({ url: server.url, password: "open sesame" }, changes);
    const acknowledged = new Set<string>();
    let failed = 0;
    let isRunning = true;
    const writer = async (number: number): Promise<void> => {
      for (let index = 0; isRunning; index++) {
        const key = `${number}-${index}`;
        try {
          await store.set(setOf(key, key), callWith());
          acknowledged.add(key);
        } catch (error) {
          assert.ok(isUnavailable(error), String(error));
          failed++;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
    };
    const writers = Array.from({ length: 10 }, (_, number) => writer(number));
    await eventually("much is written", () => acknowledged.size > 200);
    await server.kill();
    await eventually("calls fail and it is told", () => failed > 10 && told.length === 1);
    await server.start();
    await eventually("it is told again", () => told.length === 2);
    const before = acknowledged.size;
    await eventually("much is written again", () => acknowledged.size > before + 200);
    isRunning = false;
    await Promise.all(writers);
    const keys = [...acknowledged];
    assert.deepEqual(await Promise.all(keys.map((key) => textAt(store, key))), keys);
    assert.deepEqual(told, ["down", "up"]);
    assert.equal(lines.filter((line) => line.includes("cannot be reached")).length, 1);
    assert.equal(lines.filter((line) => line.includes("is back")).length, 1);
  });

  it("that hangs on a connection is given up a second after replyTimeoutMs, and the next call has another", async () => {
    await using server = await startPostgres();
    await using store = await open({ url: server.url, maxConnections: 1, replyTimeoutMs: 1_500 });
    await using other = await openPostgres(postgresSettings.parse({ url: server.url }), openContext("other"));
    await store.set(setOf("k", "v"), callWith());
    const { rows } = await other.run({
      text: "SELECT pid FROM pg_stat_activity WHERE application_name = 'outrigger:orders'",
    });
    const pid = Number(rows[0]?.[0]);
    await suspend(pid);
    try {
      await assert.rejects(textAt(store, "k"), isUnavailable);
      assert.equal(await textAt(store, "k"), "v");
    } finally {
      process.kill(pid, "SIGCONT");
    }
  });

  for (const way of ["without TLS", "by TLS"]) {
    it(`that hangs as a whole does not keep the store from being closed, ${way}`, async () => {
      const tls = selfSigned();
      await using server = await startPostgres({ tls });
      const ca = join(server.directory, "ca.pem");
      await writeFile(ca, tls.cert);
      const sockets = (): number => process.getActiveResourcesInfo().filter((one) => one === "TCPSocketWrap").length;
      const before = sockets();
      const store = await open({ url: server.url, ...(way === "by TLS" ? { tls: { ca } } : {}) });
      await store.set(setOf("k", "v"), callWith());
      assert.equal(sockets(), before + 1);
      const pids = await familyOf(server.process.pid);
      assert.ok(pids.length > 2, "the server has processes for its connections");
      for (const pid of pids) await suspend(pid);
      try {
        await store[Symbol.asyncDispose]();
        await eventually("nothing of it keeps the process", () => sockets() === before);
      } finally {
        for (const pid of pids) process.kill(pid, "SIGCONT");
      }
    });
  }

  it("that hangs while it is probed does not keep the store from being closed", async () => {
    await using server = await startPostgres();
    const { told, changes } = recording();
    const store = await open({ url: server.url, replyTimeoutMs: 500, connectTimeoutMs: 60_000 }, changes);
    await store.set(setOf("k", "v"), callWith());
    const pids = await familyOf(server.process.pid);
    for (const pid of pids) await suspend(pid);
    try {
      await assert.rejects(textAt(store, "k"), isUnavailable);
      await store[Symbol.asyncDispose]();
    } finally {
      for (const pid of pids) process.kill(pid, "SIGCONT");
    }
    assert.deepEqual(told, []);
  });

  it("that has lost the table is told with the reason, and that it has it again", async () => {
    await using server = await startPostgres();
    const { told, reasons, changes } = recording();
    await using store = await open({ url: server.url }, changes);
    await using admin = await openPostgres(postgresSettings.parse({ url: server.url }), openContext("admin"));
    await store.set(setOf("k", "v"), callWith());
    await admin.run({ text: "ALTER TABLE state_orders RENAME TO elsewhere" });
    await assert.rejects(textAt(store, "k"), { code: "FAILED_PRECONDITION" });
    await eventually("it is told", () => told.length === 1);
    assert.match(reasons[0] ?? "", /'orders' lacks a table or a right: relation "state_orders" does not exist/);
    await admin.run({ text: "ALTER TABLE elsewhere RENAME TO state_orders" });
    await eventually("it is told again", () => told.length === 2);
    assert.deepEqual(told, ["down", "up"]);
    assert.equal(await textAt(store, "k"), "v");
  });

  it("that ends a connection has not gone: nothing is told, and the next call has another", async () => {
    await using server = await startPostgres();
    const { told, changes } = recording();
    await using store = await open({ url: server.url, maxConnections: 2 }, changes);
    await using other = await openPostgres(postgresSettings.parse({ url: server.url }), openContext("other"));
    await store.set(setOf("k", "v"), callWith());
    await other.run({
      text: "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'outrigger:orders'",
    });
    await eventually("the store reads again", () =>
      textAt(store, "k").then(
        (text) => text === "v",
        () => false,
      ),
    );
    assert.equal(await textAt(store, "k"), "v");
    assert.deepEqual(told, []);
  });
});
