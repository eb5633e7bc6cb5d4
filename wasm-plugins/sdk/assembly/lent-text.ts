// Texts for hostcalls, which take bytes in UTF-8. Short ones are encoded into memory that is kept for them, so that they
// leave nothing for the collector. There is room for a name and a value at a time: what the host takes in one call.
// Plain numbers, since `abort` logs: whatever the compiler needs to make an object here may need them in turn.
import { encodeBuffer } from "./text";

const shortText = 512;
/** Most bytes that such a text takes: 3 for each character of UTF-16. */
const room: usize = 1536;
const rooms: usize = memory.data(3072);

/** Where the text is that was lent last as a name. */
export let lentName: usize = rooms;
export let lentNameSize: usize = 0;
/** Where the text is that was lent last as a value. */
export let lentValue: usize = rooms + room;
export let lentValueSize: usize = 0;
/** Hold a long text while it is lent. */
let longName: ArrayBuffer | null = null;
let longValue: ArrayBuffer | null = null;

/** Lends the first text of a hostcall: a name, a key, a path, a message. */
export function lendName(text: string): void {
  if (text.length > shortText) {
    const bytes = encodeBuffer(text);
    longName = bytes;
    lentName = changetype<usize>(bytes);
    lentNameSize = bytes.byteLength;
    return;
  }
  longName = null;
  lentName = rooms;
  lentNameSize = encodeInto(text, rooms);
}

/** Lends the second one. */
export function lendValue(text: string): void {
  if (text.length > shortText) {
    const bytes = encodeBuffer(text);
    longValue = bytes;
    lentValue = changetype<usize>(bytes);
    lentValueSize = bytes.byteLength;
    return;
  }
  longValue = null;
  lentValue = rooms + room;
  lentValueSize = encodeInto(text, rooms + room);
}

function encodeInto(text: string, place: usize): usize {
  return String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, place, false, String.UTF8.ErrorMode.REPLACE);
}
