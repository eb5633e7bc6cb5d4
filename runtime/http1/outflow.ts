import type { Socket } from "node:net";
import type { Flushable, FlushTurn } from "./flush-turn.ts";

/** Up to this size a body is copied behind its head, which costs less than a write of two parts. */
const copiedBytes = 16 * 1024;

/**
 * What a connection sends: text of heads (one character an octet) and bodies, gathered over an event-loop turn and given
 * to the socket in one write.
 */
export class Outflow implements Flushable {
  readonly #socket: Socket;
  readonly #turn: FlushTurn;
  /** Text in front of everything in `#parts`, or behind the last of them. */
  #text = "";
  #parts: (string | Uint8Array)[] = [];
  #bytes = 0;
  #isDue = false;
  #afterFlush: (() => void) | undefined;

  constructor(socket: Socket, turn: FlushTurn) {
    this.#socket = socket;
    this.#turn = turn;
  }

  /** Whether more waits here and in the socket than should: hold the source back until the socket has drained. */
  get isCongested(): boolean {
    return this.#socket.writableLength + this.#bytes + this.#text.length >= this.#socket.writableHighWaterMark;
  }

  text(text: string): void {
    this.#text += text;
    this.#due();
  }

  /** Nobody may write to the octets afterwards. */
  octets(octets: Uint8Array): void {
    if (octets.length === 0) return;
    if (this.#text !== "") this.#parts.push(this.#text);
    this.#text = "";
    this.#parts.push(octets);
    this.#bytes += octets.length;
    this.#due();
  }

  /** Gives the socket everything now. */
  flush(): void {
    this.#isDue = false;
    const parts = this.#parts;
    const text = this.#text;
    const bytes = this.#bytes;
    this.#text = "";
    this.#bytes = 0;
    if (parts.length > 0) this.#parts = [];
    if (this.#socket.writable) {
      if (parts.length === 0) {
        if (text !== "") this.#socket.write(text, "latin1");
      } else this.#writeParts(parts, text, bytes);
    }
    const after = this.#afterFlush;
    this.#afterFlush = undefined;
    after?.();
  }

  /** Calls `after` when everything that is here now was given to the socket. */
  whenFlushed(after: () => void): void {
    this.#afterFlush = after;
    this.#due();
  }

  /** Drops what was not given to the socket. */
  clear(): void {
    this.#text = "";
    this.#parts = [];
    this.#bytes = 0;
    this.#afterFlush = undefined;
  }

  #due(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#turn.add(this);
  }

  #writeParts(parts: (string | Uint8Array)[], text: string, bytes: number): void {
    const socket = this.#socket;
    if (text !== "") parts.push(text);
    let total = bytes;
    for (const part of parts) if (typeof part === "string") total += part.length;
    if (total <= copiedBytes) {
      socket.write(joined(parts, total));
      return;
    }
    socket.cork();
    for (const part of parts) {
      if (typeof part === "string") socket.write(part, "latin1");
      else socket.write(part);
    }
    socket.uncork();
  }
}

function joined(parts: readonly (string | Uint8Array)[], total: number): Buffer {
  const whole = Buffer.allocUnsafe(total);
  let at = 0;
  for (const part of parts) {
    if (typeof part === "string") at += whole.write(part, at, "latin1");
    else {
      whole.set(part, at);
      at += part.length;
    }
  }
  return whole;
}
