import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, it } from "node:test";
import { eventually, silentLog } from "../../test/conformance/backend.ts";
import { RuntimeError } from "../error.ts";
import { openSqlite, type SqliteDatabase } from "./sqlite.ts";
import { sweepExpired } from "./sqlite-sweep.ts";
import { SqliteThread } from "./sqlite-thread.ts";

const schema = "CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, value BLOB, ends INTEGER) STRICT";
const statements = {
  put: "INSERT INTO entry (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
  insert: "INSERT INTO entry (key, value, ends) VALUES (?1, ?2, ?3)",
  update: "UPDATE entry SET value = ?2 WHERE key = ?1",
  get: "SELECT value FROM entry WHERE key = ?1",
  count: "SELECT count(*) FROM entry",
  sweep: "DELETE FROM entry WHERE key IN (SELECT key FROM entry WHERE ends <= ?1 LIMIT 2)",
} as const;
type Database = SqliteDatabase<keyof typeof statements>;

describe("a database file", () => {
  let directory = "";
  let files = 0;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "outrigger-sqlite-"));
  });
  after(() => rm(directory, { recursive: true, force: true }));
  const freshPath = (): string => join(directory, `database-${files++}.sqlite`);
  const open = (path = freshPath(), maxBytes?: number): Promise<Database> =>
    openSqlite({ path, schema, statements, maxBytes, log: silentLog });

  it("is made with its directory, and keeps every kind of value", async () => {
    await using database = await open(join(directory, "some", "where", "new.sqlite"));
    const value = Uint8Array.of(0, 1, 255);
    await database.run("put", ["a", value]);
    await database.run("put", ["nothing", new Uint8Array(0)]);
    await database.run("put", ["null", undefined]);
    assert.deepEqual((await database.run("get", ["a"])).rows, [[value]]);
    assert.deepEqual((await database.run("get", ["nothing"])).rows, [[new Uint8Array(0)]]);
    assert.deepEqual((await database.run("get", ["null"])).rows, [[undefined]]);
    assert.deepEqual(await database.run("get", ["missing"]), { changes: 0, rows: [] });
  });

  it("has one owner at a time, by whatever name it is called, and is free after that", async () => {
    const path = freshPath();
    const link = join(directory, "link.sqlite");
    await symlink(path, link);
    {
      await using _ = await open(path);
      for (const name of [path, link])
        await assert.rejects(open(name), isError("FAILED_PRECONDITION", "DATABASE_IN_USE"));
    }
    await using again = await open(link);
    assert.deepEqual((await again.run("count", [])).rows, [[0]]);
  });

  it("of another program is refused and left as it is", async () => {
    const path = freshPath();
    const foreign = new DatabaseSync(path);
    foreign.exec("CREATE TABLE theirs (x)");
    foreign.close();
    await assert.rejects(open(path), isError("FAILED_PRECONDITION", "DATABASE_FOREIGN"));
    const look = new DatabaseSync(path);
    assert.deepEqual({ ...look.prepare("PRAGMA journal_mode").get() }, { journal_mode: "delete" });
    look.close();
  });

  it("of a later version of ours is refused", async () => {
    const path = freshPath();
    await (await open(path))[Symbol.asyncDispose]();
    const later = new DatabaseSync(path);
    later.exec("PRAGMA user_version = 1000");
    later.close();
    await assert.rejects(open(path), isError("FAILED_PRECONDITION", "DATABASE_TOO_NEW"));
  });

  it("that is damaged, or that cannot be reached, is refused with a sentence", async () => {
    const path = freshPath();
    await writeFile(path, "this is no database ".repeat(1000));
    await assert.rejects(open(path), isError("DATA_LOSS", "DATABASE_DAMAGED"));
    await assert.rejects(open(join(path, "below", "a file")), isError("FAILED_PRECONDITION", "DATABASE_UNREACHABLE"));
    await assert.rejects(open(directory), isError("FAILED_PRECONDITION", "DATABASE_UNREACHABLE"));
  });

  it("applies all steps of a transaction, or none", async () => {
    await using database = await open();
    const applied = await database.transact([
      { statement: "put", values: ["a", Uint8Array.of(1)] },
      { statement: "update", values: ["a", Uint8Array.of(2)], mustChange: true },
    ]);
    assert.ok(applied.applied && applied.results.length === 2);
    const refused = await database.transact([
      { statement: "put", values: ["a", Uint8Array.of(3)] },
      { statement: "put", values: ["b", Uint8Array.of(3)] },
      { statement: "update", values: ["missing", Uint8Array.of(3)], mustChange: true },
    ]);
    assert.deepEqual(refused, { applied: false, refusedStep: 2 });
    const failing = database.transact([
      { statement: "put", values: ["c", Uint8Array.of(3)] },
      { statement: "insert", values: ["a", Uint8Array.of(3), 0] },
    ]);
    await assert.rejects(failing, isError("INTERNAL", "DATABASE_FAILED"));
    assert.deepEqual((await database.run("get", ["a"])).rows, [[Uint8Array.of(2)]]);
    assert.deepEqual((await database.run("count", [])).rows, [[1]]);
  });

  it("serves the neighbours of a call that fails, also when it takes the whole transaction down", async () => {
    await using database = await open(freshPath(), 1024 ** 2);
    const outcomes = await Promise.allSettled([
      database.run("put", ["before", Uint8Array.of(1)]),
      database.run("insert", ["before", Uint8Array.of(2), 0]),
      database.run("put", ["too much", new Uint8Array(3 * 1024 ** 2)]),
      database.run("put", ["after", Uint8Array.of(3)]),
      database.run("count", []),
    ]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected", "rejected", "fulfilled", "fulfilled"],
    );
    const full = outcomes[2];
    assert.ok(full?.status === "rejected" && isError("RESOURCE_EXHAUSTED", "DATABASE_FULL")(full.reason));
    assert.deepEqual((await database.run("get", ["before"])).rows, [[Uint8Array.of(1)]]);
    assert.deepEqual((await database.run("get", ["after"])).rows, [[Uint8Array.of(3)]]);
  });

  it("leaves out a call that is cancelled while it waits, and no other", async () => {
    await using database = await open();
    const cancel = new AbortController();
    const calls = [
      database.run("put", ["one", Uint8Array.of(1)]),
      database.run("put", ["two", Uint8Array.of(2)], cancel.signal),
      database.run("put", ["three", Uint8Array.of(3)]),
    ];
    const reason = new Error("the caller has gone");
    cancel.abort(reason);
    const outcomes = await Promise.allSettled(calls);
    assert.deepEqual(outcomes[1], { status: "rejected", reason });
    assert.deepEqual((await database.run("get", ["two"])).rows, []);
    assert.deepEqual((await database.run("count", [])).rows, [[2]]);
  });

  it("refuses calls beyond what may wait, and serves those that wait", async () => {
    await using database = await open();
    const value = new Uint8Array(8 * 1024 ** 2);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) => database.run("put", [`${index}`, value])),
    );
    const refused = outcomes.filter(({ status }) => status === "rejected");
    assert.equal(refused.length, 2);
    for (const outcome of refused) {
      assert.ok(outcome.status === "rejected" && isError("RESOURCE_EXHAUSTED", "DATABASE_OVERLOADED")(outcome.reason));
    }
    assert.deepEqual((await database.run("count", [])).rows, [[8]]);
  });

  it("comes back after its thread was lost, with all that was acknowledged", async () => {
    const said: string[] = [];
    const log = { ...silentLog, error: (_: object, message: string) => said.push(message) };
    await using database = await openSqlite({ path: freshPath(), schema, statements, log });
    await database.run("put", ["kept", Uint8Array.of(1)]);
    // No value of the types can end the thread; one that is smuggled past them can.
    const poison = JSON.parse("true");
    await assert.rejects(database.run("put", ["poison", poison]), isError("UNAVAILABLE", "DATABASE_LOST"));
    assert.deepEqual((await database.run("get", ["kept"])).rows, [[Uint8Array.of(1)]]);
    assert.equal(said.length, 1);
  });

  it("shares a thread with others: each keeps its own rows, a refused one harms none, and all come back when it is lost", async () => {
    await using thread = new SqliteThread();
    const beside = (path = freshPath()): Promise<Database> =>
      openSqlite({ path, schema, statements, log: silentLog, thread });
    const path = freshPath();
    const [first, second] = await Promise.all([beside(path), beside()]);
    await Promise.all([
      first.run("put", ["a", Uint8Array.of(1)]),
      second.run("put", ["a", Uint8Array.of(2)]),
      assert.rejects(beside(path), isError("FAILED_PRECONDITION", "DATABASE_IN_USE")),
    ]);
    const poison = JSON.parse("true");
    await assert.rejects(second.run("put", ["poison", poison]), isError("UNAVAILABLE", "DATABASE_LOST"));
    assert.deepEqual((await first.run("get", ["a"])).rows, [[Uint8Array.of(1)]]);
    await first[Symbol.asyncDispose]();
    assert.deepEqual((await second.run("get", ["a"])).rows, [[Uint8Array.of(2)]]);
    await second[Symbol.asyncDispose]();
    await using again = await beside(path);
    assert.deepEqual((await again.run("count", [])).rows, [[1]]);
  });

  it("serves what waits before it closes, and nothing after", async () => {
    const path = freshPath();
    const database = await open(path);
    const last = database.run("put", ["last", Uint8Array.of(1)]);
    const closed = database[Symbol.asyncDispose]();
    await assert.rejects(database.run("count", []), isError("UNAVAILABLE", "DATABASE_CLOSED"));
    await Promise.all([last, closed]);
    assert.ok(!(await readdir(directory)).includes(`${path}-wal`));
    await using again = await open(path);
    assert.deepEqual((await again.run("count", [])).rows, [[1]]);
  });

  it("is swept of what has expired, a few rows at a time", async () => {
    await using database = await open();
    for (let index = 0; index < 7; index++) await database.run("insert", [`gone ${index}`, undefined, Date.now()]);
    await database.run("insert", ["stays", undefined, Date.now() + 600_000]);
    await using _ = sweepExpired({ database, statement: "sweep", everyMs: 5, log: silentLog });
    await eventually("the expired rows are gone", async () => (await database.run("count", [])).rows[0]?.[0] === 1);
  });
});

const isError =
  (code: string, reason: string) =>
  (error: unknown): boolean =>
    error instanceof RuntimeError && error.code === code && error.reason === reason;
