import { randomUUID } from "node:crypto";

const counterDigits = 12;

/** Makes ids of requests in the form of a UUID: 20 digits that are random for each maker, and a counter with a random start. */
export class RequestIds {
  readonly #prefix: string;
  #next: number;

  constructor() {
    const random = randomUUID();
    this.#prefix = random.slice(0, -counterDigits);
    this.#next = Number.parseInt(random.slice(-counterDigits), 16);
  }

  next(): string {
    this.#next = (this.#next + 1) % 16 ** counterDigits;
    return this.#prefix + this.#next.toString(16).padStart(counterDigits, "0");
  }
}
