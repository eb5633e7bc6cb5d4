import { randomUUID } from "node:crypto";

const digits = 12;
/** The last two digits are looked up: what is made for every request shall cost nothing. */
const lastDigits = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, "0"));

/** Makes ids of requests in the form of a UUID: 20 digits that are random for each maker, and a counter with a random start. */
export class RequestIds {
  #random = "";
  #block = 0;
  #next = 0;
  #prefix = "";

  next(): string {
    if (this.#next === 0) {
      if (this.#random === "") this.#begin();
      this.#block = (this.#block + 1) % 16 ** (digits - 2);
      this.#prefix = this.#random + this.#block.toString(16).padStart(digits - 2, "0");
    }
    const last = lastDigits[this.#next] ?? "";
    this.#next = (this.#next + 1) % lastDigits.length;
    return this.#prefix + last;
  }

  /** With the first request: node:crypto takes 2 MB. */
  #begin(): void {
    const random = randomUUID();
    this.#random = random.slice(0, -digits);
    this.#block = Number.parseInt(random.slice(-digits, -2), 16);
  }
}
