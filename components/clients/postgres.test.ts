import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually, silentLog } from "../../test/conformance/backend.ts";
import { openContext } from "../../test/support/open-context.ts";
import { type PostgresServer, startPostgres } from "../../test/support/postgres-server.ts";
import { openPostgres, type PostgresConnection } from "./postgres.ts";
import { postgresSettings } from "./postgres-settings.ts";
import { sweepExpiredRows } from "./postgres-sweep.ts";
import { storedKey } from "./postgres-table.ts";

describe("connections to Postgres", () => {
  let server: PostgresServer;
  let connection: PostgresConnection;
  const open = (settings: object = {}): Promise<PostgresConnection> =>
    openPostgres(postgresSettings.parse({ url: server.url, ...settings }), openContext("orders"));
  before(async () => {
    server = await startPostgres({ settings: ["deadlock_timeout=10ms"] });
    connection = await open();
    await connection.run({ text: "CREATE TABLE counts (name text PRIMARY KEY, count int NOT NULL)" });
  });
  after(async () => {
    await connection[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  const countOf = async (name: string): Promise<unknown> =>
    (await connection.run({ text: "SELECT count FROM counts WHERE name = $1", values: [name] })).rows[0]?.[0];

  it("do all of a transaction or nothing, and are of use afterwards", async () => {
    const statements = [
      { text: "INSERT INTO counts VALUES ('none', 1)" },
      { text: "SELECT 1 / 0" },
      { text: "INSERT INTO counts VALUES ('none', 2)" },
    ];
    const failure = { code: "INTERNAL", message: /the Postgres of 'orders' answered with an error: division by zero/ };
    await assert.rejects(connection.transact(statements), failure);
    await assert.rejects(
      connection.transact(statements, () => true),
      failure,
    );
    await connection.transact(statements.slice(0, 1), () => false);
    assert.equal(await countOf("none"), undefined);
    await connection.transact(statements.slice(0, 1), () => true);
    assert.equal(await countOf("none"), 1);
  });

  it("try again what was undone for the sake of another", async () => {
    await connection.run({ text: "INSERT INTO counts VALUES ('one', 0), ('other', 0)" });
    const add = (name: string) => ({ text: `UPDATE counts SET count = count + 1 WHERE name = '${name}'` });
    const pause = { text: "SELECT pg_sleep(0.005)" };
    const both = [
      ["one", "other"],
      ["other", "one"],
    ];
    for (let round = 0; round < 10; round++) {
      await Promise.all(
        both.map(([first = "", second = ""]) => connection.transact([add(first), pause, add(second)], () => true)),
      );
    }
    assert.deepEqual([await countOf("one"), await countOf("other")], [20, 20]);
  });

  it("are not waited for by more than a few hundred", async () => {
    await using few = await open({ maxConnections: 1 });
    const outcomes = await Promise.allSettled(Array.from({ length: 400 }, () => few.run({ text: "SELECT 1" })));
    const refused = outcomes.flatMap((one) => (one.status === "rejected" ? [one.reason.code] : []));
    assert.ok(refused.length > 100 && refused.length < 200, `${refused.length} are refused`);
    assert.deepEqual(new Set(refused), new Set(["RESOURCE_EXHAUSTED"]));
    assert.equal((await few.run({ text: "SELECT 1" })).rows.length, 1);
  });

  it("take what has expired away, a few at a time", async () => {
    await connection.run({ text: "CREATE TABLE old AS SELECT generate_series(1, 1000) AS number" });
    const text = "DELETE FROM old WHERE number IN (SELECT number FROM old WHERE number > 10 LIMIT 100)";
    await using _sweeping = sweepExpiredRows({ connection, statement: { text }, everyMs: 20, log: silentLog });
    await eventually("ten are left", async () => {
      const { rows } = await connection.run({ text: "SELECT count(*)::int4 FROM old" });
      return rows[0]?.[0] === 10;
    });
  });
});

describe("a key in Postgres", () => {
  it("lies there as it is, and in short when an index has no room for it", () => {
    assert.deepEqual(storedKey("nul\0"), Buffer.from("nul\0"));
    const long = "x".repeat(5000);
    const [one, other] = [storedKey(`${long}1`), storedKey(`${long}2`)];
    assert.deepEqual([one.length, one.subarray(0, 900).toString()], [1024, "x".repeat(900)]);
    assert.notDeepEqual(one, other);
    // No key is taken for the short form of another: UTF-8 has no such byte.
    assert.equal(one.indexOf(0xff), 1024 - 33);
  });
});
