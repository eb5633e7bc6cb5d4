import { fuelCosts } from "../plugin/sandbox/fuel.ts";
import { type GuestMeter, GuestStopped } from "./guest-meter.ts";
import type { Crossings } from "./watch-crossings.ts";

/** What the generated code around one host call takes, besides the call. */
const callFuel = 2_000;
/** A text costs this and its bytes; an element of a list costs its bytes; a copy costs little for each byte. */
const textFuel = 300;
const copiedBytesPerFuel = 8;
/** What an element is in the memory of the host, at least. */
const elementBytes = 64;
/** More than this is never taken at once, and not much more than the guest has: it would be the same again and again. */
const mostBytes = 256 * 1024 ** 2;
const leastBytes = 1024 ** 2;

/** Charges a guest for what is taken out of its memory, and stops it when that is outside of it or too much. */
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

  text(memory: WebAssembly.Memory, start: number, bytes: number): void {
    requireInside(memory, start, bytes);
    this.#take(bytes);
    this.#meter.payLittle(textFuel + bytes * fuelCosts.hostcallByte);
  }

  bytes(memory: WebAssembly.Memory, start: number, bytes: number): void {
    requireInside(memory, start, bytes);
    this.#take(bytes);
    this.#meter.payLittle(Math.ceil(bytes / copiedBytesPerFuel));
  }

  list(elements: number, size: number): void {
    this.#take(elements * elementBytes);
    this.#meter.payLittle(elements * size);
  }

  #take(bytes: number): void {
    this.#taken += bytes;
    if (this.#taken <= leastBytes) return;
    const has = this.#meter.memory?.buffer.byteLength ?? 0;
    if (this.#taken <= Math.min(mostBytes, leastBytes + 2 * has)) return;
    this.#meter.halt();
    throw new GuestStopped("it passed more than it has");
  }
}

function requireInside(memory: WebAssembly.Memory, start: number, bytes: number): void {
  if (start >= 0 && start + bytes <= memory.buffer.byteLength) return;
  throw new WebAssembly.RuntimeError(`it passed ${bytes} bytes at ${start}, which are not in its memory`);
}
