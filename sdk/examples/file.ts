/** Streams files to the runtime and back. */
import { OutriggerClient } from "@outrigger/sdk";

await using client = new OutriggerClient();
const store = "files";

// Content may come in pieces; the file is there as a whole once all of them are.
async function* lines() {
  for (const line of [1, 2, 3]) yield new TextEncoder().encode(`line ${line}\n`);
}
await client.file.put({ store, name: "example/report.txt", content: lines(), metadata: { owner: "example" } });
await client.file.put({ store, name: "example/note.txt", content: "a note" });

let bytes = 0;
for await (const piece of client.file.get({ store, name: "example/report.txt" })) bytes += piece.length;
console.log(`the report has ${bytes} bytes`);
const note = await client.file.read({ store, name: "example/note.txt" });
console.log(`the note says ${note?.text()}`);

for await (const { name, size } of client.file.list({ store, prefix: "example/" })) console.log(`${name}: ${size}`);
const report = await client.file.stat({ store, name: "example/report.txt" });
console.log(`the report belongs to ${report?.metadata.owner}`);

for (const name of ["example/report.txt", "example/note.txt"]) await client.file.delete({ store, name });
console.log(`after that there is ${await client.file.stat({ store, name: "example/note.txt" })}`);
