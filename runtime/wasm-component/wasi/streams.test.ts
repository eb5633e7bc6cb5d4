import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ComponentHost } from "../../../test/support/component-host.ts";
import { ByteQueue, emptySource, InputStream } from "./input-stream.ts";
import { failure, IoError } from "./io-error.ts";
import { type OutputSink, OutputStream } from "./output-stream.ts";
import { Pollable, poll } from "./pollable.ts";
import type { Waiter } from "./waiting.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const textOf = (read: Uint8Array): string => Buffer.from(read).toString();
const closed = { tag: "closed" };

/** A queue, what its filler was told, and a stream that reads from it. */
function queued() {
  const told: string[] = [];
  const queue = new ByteQueue({ taken: (left) => told.push(`${left} left`), dropped: () => told.push("dropped") });
  const host = new ComponentHost();
  return { told, queue, host, stream: new InputStream(host, queue) };
}

/** A sink that takes `room` bytes at a time, unless it is told otherwise. */
class Sink implements OutputSink {
  waiter: Waiter | undefined;
  readonly got: string[] = [];
  isOpen = true;
  #room: number;

  constructor(room: number) {
    this.#room = room;
  }

  get isReady(): boolean {
    return !this.isOpen || this.#room > 0;
  }

  set free(room: number) {
    this.#room = room;
    this.waiter?.wake();
  }

  room(): number {
    if (!this.isOpen) throw closed;
    return this.#room;
  }

  write(written: Uint8Array): void {
    this.got.push(textOf(written));
    this.#room -= written.length;
  }

  dropped(): void {
    this.got.push("(dropped)");
  }
}

describe("an input stream", () => {
  it("gives what is there, no more than was asked for, and tells who fills it", () => {
    const { queue, stream, told } = queued();
    assert.equal(stream.read(10n).length, 0);
    queue.push(bytes("abcdef"));
    queue.push(bytes("gh"));
    assert.equal(textOf(stream.read(4n)), "abcd");
    assert.equal(stream.read(0n).length, 0);
    assert.equal(textOf(stream.read(10n)), "ef");
    assert.equal(stream.skip(10n), 2n);
    assert.equal(told.at(-1), "0 left");
    queue.end();
    assert.throws(() => stream.read(1n), closed);
  });

  it("waits for bytes only when there are none, and hears of the end", async () => {
    const { queue, stream } = queued();
    const first = stream.blockingRead(8n);
    queue.push(bytes("late"));
    assert.equal(textOf(await first), "late");
    queue.push(bytes("here"));
    assert.ok(stream.blockingRead(8n) instanceof Uint8Array, "nothing is waited for");
    const end = stream.blockingSkip(8n);
    queue.end();
    await assert.rejects(async () => end, closed);
  });

  it("gives what came before a failure, then the failure once, and is closed then", () => {
    const { queue, stream } = queued();
    queue.push(bytes("half"));
    queue.end(() => failure("the peer has gone"));
    assert.equal(textOf(stream.read(8n)), "half");
    assert.throws(() => stream.read(8n), { tag: "last-operation-failed", val: new IoError("the peer has gone") });
    assert.throws(() => stream.read(8n), closed);
  });

  it("lets go of everything when the guest drops it", () => {
    const { queue, stream, told } = queued();
    queue.push(bytes("unread"));
    stream[Symbol.dispose]();
    stream[Symbol.dispose]();
    queue.push(bytes("more"));
    assert.equal(queue.load, 0);
    assert.deepEqual(told, ["dropped"]);
  });

  it("reckons many small chunks at more than their bytes", () => {
    const { queue } = queued();
    for (let each = 0; each < 100; each++) queue.push(bytes("x"));
    assert.ok(queue.load > 5_000);
  });
});

describe("an output stream", () => {
  it("takes what check-write permitted, and ends the guest that writes more", () => {
    const sink = new Sink(4);
    const stream = new OutputStream(new ComponentHost(), sink);
    assert.equal(stream.checkWrite(), 4n);
    sink.free = 0;
    stream.write(bytes("abc"));
    assert.throws(() => stream.write(bytes("de")), /^Error: it wrote 2 bytes .* permitted 1$/);
  });

  it("writes as room comes, and returns at once where there is room", async () => {
    const sink = new Sink(4);
    const stream = new OutputStream(new ComponentHost(), sink);
    assert.equal(stream.blockingWriteAndFlush(bytes("abcd")), undefined);
    const written = stream.blockingWriteAndFlush(bytes("efgh"));
    sink.free = 3;
    await new Promise((resolve) => setImmediate(resolve));
    sink.free = 3;
    await written;
    assert.deepEqual(sink.got, ["abcd", "efg", "h"]);
  });

  it("is closed when its reader has gone, even while the guest waits", async () => {
    const sink = new Sink(0);
    const stream = new OutputStream(new ComponentHost(), sink);
    const flushed = stream.blockingFlush();
    sink.isOpen = false;
    sink.waiter?.wake();
    await assert.rejects(async () => flushed, closed);
    assert.throws(() => stream.checkWrite(), closed);
    assert.throws(() => stream.flush(), closed);
  });

  it("takes from an input stream as much as there is, and as there is room for", async () => {
    const { queue, stream: source } = queued();
    const sink = new Sink(3);
    const stream = new OutputStream(new ComponentHost(), sink);
    assert.equal(stream.splice(source, 8n), 0n);
    queue.push(bytes("abcdef"));
    assert.equal(stream.splice(source, 8n), 3n);
    const more = stream.blockingSplice(source, 2n);
    sink.free = 10;
    assert.equal(await more, 2n);
    queue.end();
    assert.equal(await stream.blockingSplice(source, 8n), 1n);
    await assert.rejects(async () => stream.blockingSplice(source, 8n), closed);
    assert.deepEqual(sink.got, ["abc", "de", "f"]);
  });

  it("writes zeroes, though not without bound", () => {
    const sink = new Sink(10);
    const stream = new OutputStream(new ComponentHost(), sink);
    stream.writeZeroes(2n);
    assert.deepEqual(sink.got, ["\0\0"]);
    assert.throws(() => stream.writeZeroes(2n ** 40n), /it asked for 1099511627776 zeroes at once/);
    stream[Symbol.dispose]();
    assert.equal(sink.got.at(-1), "(dropped)");
  });
});

describe("waiting", () => {
  it("tells the places of all that are ready, at once when some are", async () => {
    const host = new ComponentHost();
    const { queue } = queued();
    const never = new Pollable(host, queue);
    const ready = new Pollable(host, emptySource);
    assert.deepEqual([never.ready(), ready.ready()], [false, true]);
    assert.deepEqual(poll(host, [never, ready, never, ready]), Uint32Array.of(1, 3));
    assert.throws(() => poll(host, []), /it polled an empty list/);
  });

  it("ends when one becomes ready, and leaves nobody behind at the others", async () => {
    const host = new ComponentHost();
    const [one, other] = [queued().queue, queued().queue];
    const waiting = poll(host, [new Pollable(host, one), new Pollable(host, other), new Pollable(host, other)]);
    other.push(bytes("x"));
    assert.deepEqual(await waiting, Uint32Array.of(1, 2));
    assert.deepEqual([one.waiter, other.waiter], [undefined, undefined]);
  });

  it("ends with the call, and waits no more after that", async () => {
    const host = new ComponentHost();
    const { queue } = queued();
    const waiting = new Pollable(host, queue).block();
    host.abort(new Error("its deadline"));
    await assert.rejects(async () => waiting, /^Error: its deadline$/);
    assert.equal(queue.waiter, undefined);
    await assert.rejects(async () => new Pollable(host, queue).block(), /^Error: its deadline$/);
  });
});
