/** Reads a secret that the runtime's configuration lets applications read. */
import { OutriggerClient, OutriggerError } from "@outrigger/sdk";

await using client = new OutriggerClient();
const store = "vault";
const name = "EXAMPLE_TOKEN";

try {
  const secret = await client.secret.get({ store, name });
  console.log(`${name} has ${secret[name]?.length} characters`);
  console.log(`readable: ${Object.keys(await client.secret.getAll({ store })).join(", ")}`);
  await client.secret.get({ store, name: "PATH" });
} catch (error) {
  if (!(error instanceof OutriggerError)) throw error;
  console.log(`${error.code} ${error.reason}`);
}
