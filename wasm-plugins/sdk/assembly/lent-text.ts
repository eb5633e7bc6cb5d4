// Texts for hostcalls, which take bytes in UTF-8. Short ones are encoded into memory that is kept for them, so that they
// leave nothing for the collector. There is room for a name and a value at a time: what the host takes in one call.
import { encodeBuffer } from "./text";

/** Most bytes that a character of UTF-16 takes. */
const bytesOfCharacter = 3;
const shortText = 512;
const room: usize = shortText * bytesOfCharacter;
const rooms: usize = memory.data(2 * 512 * 3);

/** A text that lies where the host may read it, until the next one is lent in its place. */
class LentText {
  start: usize;
  size: usize = 0;
  /** Holds a long text while it is lent. */
  private long: ArrayBuffer | null = null;

  constructor(private readonly own: usize) {
    this.start = own;
  }

  lend(text: string): void {
    if (text.length > shortText) {
      const bytes = encodeBuffer(text);
      this.long = bytes;
      this.start = changetype<usize>(bytes);
      this.size = bytes.byteLength;
      return;
    }
    this.long = null;
    this.start = this.own;
    this.size = String.UTF8.encodeUnsafe(
      changetype<usize>(text), text.length, this.own, false, String.UTF8.ErrorMode.REPLACE,
    );
  }
}

/** The first text of a hostcall: a name, a key, a path, a message. */
export const lentName = new LentText(rooms);
/** The second one. */
export const lentValue = new LentText(rooms + room);
