/** Keys and values: JSON, a conflict between two writers, a transaction. */
import { json, OutriggerClient, OutriggerError } from "@outrigger/sdk";

await using client = new OutriggerClient();
const store = "inventory";

await client.state.save({ store, key: "example:apple", value: json({ stock: 10 }), ttlSeconds: 3600 });
const apple = await client.state.get({ store, key: "example:apple" });
console.log(`there is ${apple?.value.text()}`);

// Only over what was read: whoever comes second is told, and reads again.
const etag = apple?.etag ?? "";
await client.state.save({ store, key: "example:apple", value: json({ stock: 9 }), etag });
try {
  await client.state.save({ store, key: "example:apple", value: json({ stock: 8 }), etag });
} catch (error) {
  if (!(error instanceof OutriggerError)) throw error;
  console.log(`the second writer got ${error.code} ${error.reason}`);
}

await client.state.transaction({
  store,
  operations: [{ upsert: { key: "example:pear", value: "one" } }, { delete: { key: "example:apple" } }],
});
for (const { key, entry } of await client.state.getBulk({ store, keys: ["example:apple", "example:pear"] })) {
  console.log(`${key} is ${entry?.value.text() ?? "gone"}`);
}
