import { longestMessage, payForLog, tellLog } from "./imports/logging.ts";
import type { Vm } from "./vm.ts";

const lineEnd = 10;

/**
 * One of the guest's standard outputs as log messages. A message ends with the write that ends a line, or else with the
 * callback: runtimes write a line of a backtrace in many pieces.
 */
export class GuestOutput {
  readonly #vm: Vm;
  readonly #level: "info" | "error";
  #pieces: Uint8Array[] = [];
  #length = 0;

  constructor(vm: Vm, level: "info" | "error") {
    this.#vm = vm;
    this.#level = level;
  }

  /** Takes a piece, which it copies, and has the guest pay for it. */
  write(piece: Uint8Array): void {
    if (!payForLog(this.#vm, this.#level, piece.byteLength)) return;
    const room = Math.max(0, longestMessage + 1 - this.#length);
    this.#pieces.push(Uint8Array.from(piece.subarray(0, room)));
    this.#length += piece.byteLength;
    if (piece.at(-1) === lineEnd || this.#length > longestMessage) this.flush();
  }

  /** Logs what is there, without one line end. */
  flush(): void {
    if (this.#length === 0) return;
    const text = Buffer.concat(this.#pieces).toString("utf8").replace(/\n$/, "");
    this.#pieces = [];
    this.#length = 0;
    tellLog(this.#vm, this.#level, text);
  }
}
