/** A process that writes to a state store in a file until it is killed, and says on standard output which keys were acknowledged. */
import { sqliteStateStore } from "../../components/state/sqlite.ts";
import { bytesOf, callWith } from "../conformance/backend.ts";
import { openContext } from "./open-context.ts";

const [dataDirectory = "."] = process.argv.slice(2);
const store = await sqliteStateStore.open({}, openContext("orders", { dataDirectory }));
let next = 0;

async function write(): Promise<never> {
  for (;;) {
    const key = `key-${next++}`;
    const value = bytesOf(`value of ${key}`);
    await store.set({ key, value, concurrency: "last-write", consistency: "strong" }, callWith());
    process.stdout.write(`${key}\n`);
  }
}

await Promise.all(Array.from({ length: 32 }, write));
