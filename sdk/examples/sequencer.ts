/** Ids that are never given twice. */
import { OutriggerClient } from "@outrigger/sdk";

await using client = new OutriggerClient();
const sequence = { store: "ids", key: "example-invoice" };

const quick = await client.sequencer.next(sequence); // unique, from memory, may skip ids
const first = await client.sequencer.next({ ...sequence, increment: "strong" });
const second = await client.sequencer.next({ ...sequence, increment: "strong" });
console.log(`three ids: ${new Set([quick, first, second]).size}; in order: ${second > first}`);
