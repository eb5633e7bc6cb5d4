import { payForBytes, payForCall } from "../charge.ts";
import type { GuestHost } from "../provider.ts";
import { type OutputSink, roomPerWrite } from "./output-stream.ts";
import type { Waiter } from "./waiting.ts";

/** A longer line is logged in pieces. */
const maxLineBytes = 8 * 1024;
const newline = 10;

/** What a guest prints, line by line in the plugin's log. A line without an end is logged when the call ends. */
export class LogSink implements OutputSink {
  readonly isReady = true;
  readonly #host: GuestHost;
  readonly #level: "info" | "error";
  #begun: Uint8Array[] = [];
  #begunBytes = 0;

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
    payForBytes(this.#host, bytes.length);
    let from = 0;
    while (from < bytes.length) {
      payForCall(this.#host);
      const end = bytes.indexOf(newline, from);
      const to = Math.min(end < 0 ? bytes.length : end, from + maxLineBytes - this.#begunBytes);
      this.#begin(bytes.subarray(from, to));
      if (to === end || this.#begunBytes >= maxLineBytes) this.#flush();
      from = to === end ? to + 1 : to;
    }
  }

  dropped(): void {
    // The line is flushed when the call ends.
  }

  #begin(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#begunBytes === 0) this.#host.atEnd(() => this.#flush());
    this.#begun.push(bytes);
    this.#begunBytes += bytes.length;
  }

  #flush(): void {
    if (this.#begunBytes === 0) return;
    const line = Buffer.concat(this.#begun, this.#begunBytes).toString();
    this.#begun = [];
    this.#begunBytes = 0;
    const text = line.endsWith("\r") ? line.slice(0, -1) : line;
    if (text !== "") this.#host.log(this.#level, text);
  }
}
