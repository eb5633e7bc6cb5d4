/** What the worker of a lock database runs. */
import type { DatabaseSync } from "node:sqlite";
import type { LockOutcome, TryLock, Unlock } from "./lock-store.ts";

export type LockTask = ({ readonly task: "lock" | "renew" } & TryLock) | ({ readonly task: "unlock" } & Unlock);

export function prepare(database: DatabaseSync): (task: LockTask) => boolean | LockOutcome {
  database.exec(
    "CREATE TABLE IF NOT EXISTS lease (resource BLOB PRIMARY KEY, owner BLOB NOT NULL, ends_at INTEGER NOT NULL)",
  );
  const take = database.prepare(`
    INSERT INTO lease (resource, owner, ends_at) VALUES (?1, ?2, ?3)
    ON CONFLICT (resource) DO UPDATE SET owner = excluded.owner, ends_at = excluded.ends_at WHERE lease.ends_at <= ?4`);
  const ownerOf = database.prepare("SELECT owner FROM lease WHERE resource = ? AND ends_at > ?");
  const extend = database.prepare("UPDATE lease SET ends_at = ? WHERE resource = ?");
  const release = database.prepare("DELETE FROM lease WHERE resource = ?");
  database.prepare("DELETE FROM lease WHERE ends_at <= ?").run(Date.now());

  const outcome = (resource: Buffer, owner: string): LockOutcome => {
    const current = ownerOf.get(resource, Date.now())?.["owner"];
    if (!(current instanceof Uint8Array)) return "not-locked";
    return Buffer.from(owner).equals(current) ? "success" : "owned-by-other";
  };
  return (task) => {
    const resource = Buffer.from(task.resource);
    const now = Date.now();
    if (task.task === "lock") return take.run(resource, Buffer.from(task.owner), now + task.leaseMs, now).changes > 0;
    const found = outcome(resource, task.owner);
    if (found !== "success") return found;
    if (task.task === "renew") extend.run(now + task.leaseMs, resource);
    else release.run(resource);
    return found;
  };
}
