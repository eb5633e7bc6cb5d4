/**
 * Batches as one flat array and one block of bytes: objects with a byte array each take three to four times as long to
 * cross to another thread. test/bench/sqlite.ts keeps it honest.
 */
import {
  failureCodes,
  type Packed,
  type SqliteOutcome,
  type SqliteResult,
  type SqliteStep,
  type SqliteValue,
} from "./sqlite-messages.ts";

/** The calls of a batch while it is gathered; values are copied as they are added. */
export class CallPacker {
  readonly #packed = new Packer();
  #count = 0;

  /** How many calls there are. */
  get count(): number {
    return this.#count;
  }

  /** How many bytes their values have. */
  get byteLength(): number {
    return this.#packed.byteLength;
  }

  /** Adds a call and gives its place, by which it can be cancelled. */
  add(steps: readonly SqliteStep[]): number {
    this.#count++;
    const place = this.#packed.number(wanted);
    this.#packed.number(steps.length);
    for (const { statement, mustChange, values } of steps) {
      this.#packed.number(statement);
      this.#packed.number(mustChange ? 1 : 0);
      this.#packed.number(values.length);
      for (const value of values) this.#packed.value(value);
    }
    return place;
  }

  cancel(place: number): void {
    this.#packed.replace(place, cancelled);
  }

  /** The packer is not used afterwards: its bytes are transferred. */
  finish(): Packed {
    return this.#packed.finish();
  }
}

/** The calls of a batch in order; one that was cancelled has no steps. */
export function unpackCalls(packed: Packed): (readonly SqliteStep[])[] {
  const unpacker = new Unpacker(packed);
  const calls: SqliteStep[][] = [];
  while (!unpacker.isEmpty) {
    const isWanted = unpacker.number() === wanted;
    const steps = unpacker.list(() => {
      const statement = unpacker.number();
      const mustChange = unpacker.number() === 1;
      return { statement, mustChange, values: unpacker.list(() => unpacker.value()) };
    });
    calls.push(isWanted ? steps : []);
  }
  return calls;
}

export function packOutcomes(outcomes: readonly SqliteOutcome[]): Packed {
  const packer = new Packer();
  for (const outcome of outcomes) {
    packer.number(outcomeKinds.indexOf(outcome.kind));
    if (outcome.kind === "done") packResults(packer, outcome.results);
    else if (outcome.kind === "refused") packer.number(outcome.step);
    else {
      packer.number(failureCodes.indexOf(outcome.failure.code));
      packer.value(outcome.failure.reason);
      packer.value(outcome.failure.message);
    }
  }
  return packer.finish();
}

export function unpackOutcomes(packed: Packed): SqliteOutcome[] {
  const unpacker = new Unpacker(packed);
  const outcomes: SqliteOutcome[] = [];
  while (!unpacker.isEmpty) outcomes.push(unpackOutcome(unpacker));
  return outcomes;
}

function packResults(packer: Packer, results: readonly SqliteResult[]): void {
  packer.number(results.length);
  for (const { changes, rows } of results) {
    packer.number(changes);
    packer.number(rows.length);
    for (const row of rows) {
      packer.number(row.length);
      for (const value of row) packer.value(value);
    }
  }
}

function unpackOutcome(unpacker: Unpacker): SqliteOutcome {
  const kind = outcomeKinds[unpacker.number()];
  switch (kind) {
    case "done":
      return { kind, results: unpacker.list(() => ({ changes: unpacker.number(), rows: unpackRows(unpacker) })) };
    case "refused":
      return { kind, step: unpacker.number() };
    default: {
      const code = failureCodes[unpacker.number()] ?? "INTERNAL";
      const [reason, message] = [String(unpacker.value()), String(unpacker.value())];
      return { kind: "failed", failure: { code, reason, message } };
    }
  }
}

const unpackRows = (unpacker: Unpacker): SqliteValue[][] => unpacker.list(() => unpacker.list(() => unpacker.value()));

const outcomeKinds = ["done", "refused", "failed"] as const;
const wanted = 1;
const cancelled = 0;
const firstBytes = 4096;

/** Packs values in the order in which an Unpacker gives them back; bytes are copied at once. */
class Packer {
  readonly #cells: Packed["cells"][number][] = [];
  #bytes = new Uint8Array(0);
  #used = 0;

  /** How many bytes were packed so far. */
  get byteLength(): number {
    return this.#used;
  }

  /** Packs a number and gives the position at which it can be replaced. */
  number(value: number): number {
    return this.#cells.push(value) - 1;
  }

  replace(position: number, value: number): void {
    this.#cells[position] = value;
  }

  value(value: SqliteValue): void {
    if (!(value instanceof Uint8Array)) {
      this.#cells.push(value);
      return;
    }
    this.#cells.push(true, value.byteLength);
    this.#grow(this.#used + value.byteLength);
    this.#bytes.set(value, this.#used);
    this.#used += value.byteLength;
  }

  /** What was packed; the packer is not used afterwards, since its bytes may be transferred. */
  finish(): Packed {
    return { cells: this.#cells, bytes: this.#bytes };
  }

  #grow(needed: number): void {
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length, firstBytes));
    grown.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = grown;
  }
}

/** Gives back what a Packer packed, in its order. */
class Unpacker {
  readonly #packed: Packed;
  #cell = 0;
  #byte = 0;

  constructor(packed: Packed) {
    this.#packed = packed;
  }

  get isEmpty(): boolean {
    return this.#cell >= this.#packed.cells.length;
  }

  number(): number {
    const cell = this.#packed.cells[this.#cell++];
    if (typeof cell !== "number") throw new TypeError(`expected a number, found ${typeof cell}`);
    return cell;
  }

  /** A length and so many of what `read` reads. */
  list<T>(read: () => T): T[] {
    const length = this.number();
    const items: T[] = [];
    for (let index = 0; index < length; index++) items.push(read());
    return items;
  }

  /** Bytes are given as a copy, which does not keep the whole block in memory. */
  value(): SqliteValue {
    const cell = this.#packed.cells[this.#cell++];
    if (cell !== true) return cell;
    const length = this.number();
    this.#byte += length;
    return this.#packed.bytes.slice(this.#byte - length, this.#byte);
  }
}
