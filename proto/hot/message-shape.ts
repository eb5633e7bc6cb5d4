import type { WireReader } from "./wire-reader.ts";
import type { WireWriter } from "./wire-writer.ts";

/** How one type of message is read and written, field by field. */
export interface MessageShape<Message> {
  /** Reads to the end of the message; of a field that comes twice the last one counts. */
  read(reader: WireReader): Message;
  /** Writes what is not absent, in the order of the field numbers. */
  write(message: Message, writer: WireWriter): void;
}

/** The bytes of an absent field; they cannot be written to. */
export const noBytes = new Uint8Array(0);

/** A field whose value is a message. */
export function readMessage<Message>(shape: MessageShape<Message>, reader: WireReader): Message {
  const outer = reader.enter();
  const message = shape.read(reader);
  reader.leave(outer);
  return message;
}

/** A field whose value is a message, unless it is absent; a good guess of its length saves a move. */
export function writeMessage<Message>(
  shape: MessageShape<Message>,
  tag: number,
  message: Message | undefined,
  writer: WireWriter,
  expectedBytes = 0,
): void {
  if (message === undefined) return;
  const opened = writer.open(tag, expectedBytes);
  shape.write(message, writer);
  writer.close(opened, expectedBytes);
}

/** A map of strings, entry by entry. */
export function writeTextMap(tag: number, map: { [name: string]: string }, writer: WireWriter): void {
  for (const key in map) writer.textEntry(tag, key, map[key] ?? "");
}
