import { payForCall } from "../charge.ts";
import type { GuestHost } from "../provider.ts";
import { type OutputSink, roomPerWrite } from "./output-stream.ts";
import type { Waiter } from "./waiting.ts";

/** A longer line is logged in pieces. */
const maxLineBytes = 8 * 1024;
const newline = 10;
/** What it takes to log a line, and to make text of a byte that is no UTF-8, which takes longest. */
const lineFuel = 1_000;
const byteFuel = 6;

/** What a guest prints, line by line in the plugin's log. A line without an end is logged when the call ends. */
export class LogSink implements OutputSink {
  readonly isReady = true;
  readonly #host: GuestHost;
  readonly #level: "info" | "error";
  /** What there is of a line without an end. */
  #begun: Uint8Array[] = [];
  #begunBytes = 0;
  /** It was asked to be told of the end of the call. */
  #isAwaiting = false;

  constructor(host: GuestHost, level: "info" | "error") {
    this.#host = host;
    this.#level = level;
  }

  get waiter(): Waiter | undefined {
    return undefined;
  }

  set waiter(_: Waiter | undefined) {
    // It is always ready.
  }

  room(): number {
    return roomPerWrite;
  }

  write(bytes: Uint8Array): void {
    this.#host.pay(bytes.length * byteFuel);
    let from = 0;
    while (from < bytes.length) {
      const end = bytes.indexOf(newline, from);
      const to = Math.min(end < 0 ? bytes.length : end, from + maxLineBytes - this.#begunBytes);
      this.#add(bytes.subarray(from, to), to === end);
      from = to === end ? to + 1 : to;
    }
  }

  dropped(): void {
    // The line is flushed when the call ends.
  }

  #add(bytes: Uint8Array, isEnd: boolean): void {
    if (this.#begunBytes > 0) {
      payForCall(this.#host);
      this.#begun.push(bytes);
      this.#begunBytes += bytes.length;
      if (isEnd || this.#begunBytes >= maxLineBytes) this.#flush();
      return;
    }
    if (bytes.length === 0) {
      payForCall(this.#host);
      return;
    }
    this.#host.pay(lineFuel);
    if (isEnd || bytes.length >= maxLineBytes) this.#log(bytes);
    else this.#begin(bytes);
  }

  #begin(bytes: Uint8Array): void {
    this.#begun.push(bytes);
    this.#begunBytes = bytes.length;
    if (this.#isAwaiting) return;
    this.#isAwaiting = true;
    this.#host.atEnd(() => {
      this.#isAwaiting = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#begunBytes === 0) return;
    const line = Buffer.concat(this.#begun, this.#begunBytes);
    this.#begun = [];
    this.#begunBytes = 0;
    this.#log(line);
  }

  #log({ buffer, byteOffset, length }: Uint8Array): void {
    const line = Buffer.from(buffer, byteOffset, length).toString();
    const text = line.endsWith("\r") ? line.slice(0, -1) : line;
    if (text !== "") this.#host.log(this.#level, text);
  }
}
