import { fuelCosts } from "../plugin/sandbox/fuel.ts";
import type { GuestMeter } from "./guest-meter.ts";
import type { Crossings } from "./watch-crossings.ts";

/** What the generated code around one host call takes, besides the call; and what it takes to forget a handle. */
const callFuel = 5_000;
const stepFuel = 300;
/** A text costs this and its bytes, and an element of a list costs this and its bytes; a copy costs little for each byte. */
const textFuel = 300;
const elementFuel = 200;
const copyFuel = 1_000;
const copiedBytesPerFuel = 8;
/** What a text, an element and a copy are in the memory of the host, at least, besides their bytes. */
const textBytes = 32;
const elementBytes = 64;
const copyBytes = 256;
/** More than this is never taken at once, and not much more than the guest has: it would be the same again and again. */
const mostBytes = 256 * 1024 ** 2;
const leastBytes = 1024 ** 2;

/** Charges a guest for what crosses the border of its memory, and stops it when that is outside of it or too much. */
export class GuestCrossings implements Crossings {
  readonly #meter: GuestMeter;
  /** Taken since the last host call. */
  #taken = 0;

  constructor(meter: GuestMeter) {
    this.#meter = meter;
  }

  call(): void {
    this.#taken = 0;
    this.#meter.payLittle(callFuel);
  }

  step(): void {
    this.#meter.payLittle(stepFuel);
  }

  text(memory: WebAssembly.Memory, start: number, bytes: number): void {
    requireInside(memory, start, bytes);
    this.#take(textBytes + bytes);
    this.#meter.payLittle(textFuel + bytes * fuelCosts.hostcallByte);
  }

  bytes(memory: WebAssembly.Memory, start: number, bytes: number): void {
    requireInside(memory, start, bytes);
    this.#take(copyBytes + bytes);
    this.#meter.payLittle(copyFuel + Math.ceil(bytes / copiedBytesPerFuel));
  }

  list(elements: number, size: number): void {
    if (!(elements >= 0)) throw new WebAssembly.RuntimeError("it passed a list that is longer than any memory");
    this.#take(elements * elementBytes);
    this.#meter.payLittle(elements * (elementFuel + size));
  }

  given(amount: number): void {
    this.#meter.payLittle(textFuel + amount * fuelCosts.hostcallByte);
  }

  #take(bytes: number): void {
    this.#taken += bytes;
    if (this.#taken <= leastBytes) return;
    const has = this.#meter.memory?.buffer.byteLength ?? 0;
    if (this.#taken > Math.min(mostBytes, leastBytes + 2 * has))
      this.#meter.stop("it passed more at once than it has memory for", "memory");
  }
}

/** A length that the guest itself handed over is signed: one that is negative would be paid back. */
function requireInside(memory: WebAssembly.Memory, start: number, bytes: number): void {
  if (start >= 0 && bytes >= 0 && start + bytes <= memory.buffer.byteLength) return;
  throw new WebAssembly.RuntimeError(`it passed ${bytes} bytes at ${start}, which are not in its memory`);
}
