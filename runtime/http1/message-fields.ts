import { isConnectionField } from "./connection-fields.ts";
import { listOf } from "./fields.ts";
import { FramingFields } from "./framing.ts";

/** 1 for each length that no name has which says something of the message or the connection; most names have such a length. */
export const isPlainLength: Uint8Array = new Uint8Array(128).fill(1);
for (const length of [2, 4, 6, 7, 10, 14, 16, 17, 18, 19]) isPlainLength[length] = 0;

/** The fields of a message that go on, and what the others say about its framing and its connection. */
export class MessageFields {
  /**
   * Name, value, name, value, …, names in lower case; without Transfer-Encoding and a Connection that says close or keep-alive
   * only.
   */
  readonly kept: string[] = [];
  readonly framing = new FramingFields();
  /** All values of Connection, separated by commas. */
  connection: string | undefined = undefined;
  /** Whether `kept` holds any that concern the connection only. */
  hasConnectionFields = false;

  /** Takes a field whose name has a length that no name with a meaning here has. */
  keep(name: string, value: string): void {
    this.kept.push(name, value);
  }

  take(name: string, value: string): void {
    if (name === "transfer-encoding") {
      this.framing.addCoding(value);
      return;
    }
    if (name === "content-length") this.framing.addLength(value);
    else if (name === "connection") {
      this.connection = this.connection === undefined ? value : `${this.connection},${value}`;
      if (isPlainOption(value)) return;
      this.hasConnectionFields = true;
    } else if (isConnectionField(name)) this.hasConnectionFields = true;
    this.kept.push(name, value);
  }
}

/** Whether a connection with such a Connection field stays open (RFC 9112, section 9.3). */
export function isPersistent(connection: string | undefined, minor: 0 | 1): boolean {
  if (connection === undefined) return minor === 1;
  const options = listOf(connection);
  if (options.includes("close")) return false;
  return minor === 1 || options.includes("keep-alive");
}

/** Whether a value of Connection says only what every reader of the connection acts on itself. */
function isPlainOption(value: string): boolean {
  return /^(?:keep-alive|close)?$/i.test(value);
}
