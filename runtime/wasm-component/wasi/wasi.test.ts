import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import { ComponentHost } from "../../../test/support/component-host.ts";
import { wasiImports } from "./index.ts";
import type { OutputStream } from "./output-stream.ts";
import type { Pollable } from "./pollable.ts";

/** The functions of an interface, for an instance with this host. */
function made<Functions>(name: string, host: ComponentHost): Functions {
  const found = wasiImports.find((one) => one.name === name);
  assert.ok(found, `there is no ${name}`);
  return found.make(host) as Functions;
}

interface Clock {
  now(): bigint;
  subscribeDuration(duration: bigint): Pollable;
  subscribeInstant(when: bigint): Pollable;
}

describe("the clocks of a guest", () => {
  it("are ready when their time has come, and keep no timer that nobody waits for", async () => {
    const host = new ComponentHost();
    const clock = made<Clock>("wasi:clocks/monotonic-clock", host);
    const before = clock.now();
    const soon = clock.subscribeDuration(2_000_000n);
    clock.subscribeDuration(3_600_000_000_000n);
    assert.equal(soon.ready(), false);
    await soon.block();
    assert.ok(clock.now() - before >= 2_000_000n);
    assert.equal(clock.subscribeInstant(before).ready(), true);
    assert.equal(clock.subscribeInstant(2n ** 64n - 1n).ready(), false);
  });

  it("end with the call", async () => {
    const host = new ComponentHost();
    const waiting = made<Clock>("wasi:clocks/monotonic-clock", host)
      .subscribeDuration(2n ** 63n)
      .block();
    host.abort(new Error("its deadline"));
    await assert.rejects(async () => waiting, /its deadline/);
  });
});

describe("what a guest prints", () => {
  it("is logged line by line; what has no end is when the call ends, and a long line in pieces", async () => {
    const host = new ComponentHost();
    const { getStdout } = made<{ getStdout(): OutputStream }>("wasi:cli/stdout", host);
    const { getStderr } = made<{ getStderr(): OutputStream }>("wasi:cli/stderr", host);
    const print = (text: string) => getStdout().blockingWriteAndFlush(Buffer.from(text));
    await print("one\r\ntw");
    await print("o\n\nthr");
    await getStderr().blockingWriteAndFlush(Buffer.from("oh\n"));
    assert.deepEqual(host.lines, ["info: one", "info: two", "error: oh"]);
    host.end();
    assert.equal(host.lines.at(-1), "info: thr");
    await print("x".repeat(10_000));
    assert.equal(host.lines.at(-1)?.length, "info: ".length + 8192);
    host.end();
    assert.equal(host.lines.at(-1)?.length, "info: ".length + 10_000 - 8192);
  });

  it("is paid for as what it takes, by its lines and by its bytes, and leaves nothing behind for each line", async () => {
    const host = new ComponentHost();
    const atEnd = mock.method(host, "atEnd");
    const out = made<{ getStdout(): OutputStream }>("wasi:cli/stdout", host).getStdout();
    const paidFor = async (text: string): Promise<number> => {
      const before = host.paid;
      await out.blockingWriteAndFlush(Buffer.from(text));
      return host.paid - before;
    };
    assert.ok((await paidFor("a\n".repeat(1_000))) > 1_000_000, "a line takes a microsecond");
    assert.ok((await paidFor("a".repeat(50_000))) > 300_000, "and a byte some nanoseconds");
    for (let line = 0; line < 100; line++) await paidFor(" and\na part");
    assert.equal(atEnd.mock.callCount(), 1);
  });
});

describe("a guest without grants", () => {
  it("has the environment of its manifest, no arguments, no folder and no input", () => {
    const host = new ComponentHost({ program: { environment: { COLOUR: "green" } } });
    const { getEnvironment, getArguments, initialCwd } = made<Record<string, () => unknown>>(
      "wasi:cli/environment",
      host,
    );
    assert.deepEqual([getEnvironment?.(), getArguments?.(), initialCwd?.()], [[["COLOUR", "green"]], [], undefined]);
    assert.deepEqual(made<{ getDirectories(): unknown }>("wasi:filesystem/preopens", host).getDirectories(), []);
  });

  it("is refused sockets and names, and ends alone when it exits", () => {
    const host = new ComponentHost();
    const tcp = made<{ createTcpSocket(family: string): unknown }>("wasi:sockets/tcp-create-socket", host);
    assert.throws(
      () => tcp.createTcpSocket("ipv4"),
      (error) => error === "access-denied",
    );
    const { exit } = made<{ exit(status: { tag: string }): never }>("wasi:cli/exit", host);
    assert.throws(() => exit({ tag: "ok" }), /^Error: it exited$/);
    assert.throws(() => exit({ tag: "err" }), /^Error: it exited with a failure$/);
  });

  it("pays for random bytes, and gets so many at most", () => {
    const host = new ComponentHost();
    const { getRandomBytes } = made<{ getRandomBytes(length: bigint): Uint8Array }>("wasi:random/random", host);
    assert.equal(getRandomBytes(1000n).length, 1000);
    assert.ok(host.paid >= 1000);
    assert.throws(() => getRandomBytes(2n ** 40n), /at most 65536 are given at once/);
  });
});
