/** Calls another service by the name of its upstream: `upstreams: { billing: { endpoints: [127.0.0.1:9000] } }`. */
import { json, OutriggerClient, OutriggerError } from "@outrigger/sdk";

await using client = new OutriggerClient();
const id = process.env.UPSTREAM ?? "billing";

try {
  const answer = await client.invoke.http({ id, path: "/charges", query: { dry: "yes" }, body: json({ cents: 5 }) });
  console.log(`${id} answered ${answer.body.text()} as ${answer.contentType}`);
  await client.invoke.http({ id, path: "/nowhere" }, { timeoutMs: 5_000 });
} catch (error) {
  // An answer other than 2xx has the code of its status and the beginning of its body.
  if (!(error instanceof OutriggerError)) throw error;
  console.log(`${error.code}: ${error.message}`);
}
