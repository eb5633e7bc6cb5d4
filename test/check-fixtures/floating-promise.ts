/** Must fail the lint: each of these promises is left alone. */
import { writeLater, Writer } from "./writer.ts";

async function local(): Promise<void> {}

export function floats(writer: Writer): void {
  local();
  writeLater();
  writer.write();
  Promise.resolve(1);
  [1, 2].map(async (value) => value);
}
