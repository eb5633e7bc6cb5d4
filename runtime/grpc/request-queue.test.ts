import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RuntimeError } from "../../components/error.ts";
import { RequestQueue } from "./request-queue.ts";

function queue() {
  const calls: string[] = [];
  const source = { pause: () => void calls.push("pause"), resume: () => void calls.push("resume") };
  const requests = new RequestQueue(source, (flag, bytes) => {
    if (bytes.length === 0) throw new RuntimeError("INVALID_ARGUMENT", "EMPTY", "an empty message");
    return `${flag} ${bytes}`;
  });
  const push = (text: string, flag = 0): void => requests.push(flag, Buffer.from(text));
  return { requests, push, calls };
}

const over = new RuntimeError("CANCELLED", "OVER", "the call is over");

describe("the requests of a stream", () => {
  it("are read in their order, whether they come before or after they are asked for", async () => {
    const { requests, push } = queue();
    const [first, second] = [requests.next(), requests.next()];
    push("a");
    push("b", 1);
    push("c");
    requests.end();
    assert.deepEqual([(await first).value, (await second).value], ["0 a", "1 b"]);
    assert.deepEqual(await Array.fromAsync(requests), ["0 c"]);
    assert.deepEqual(await requests.next(), { done: true, value: undefined });
  });

  it("end for whoever waits when no more come", async () => {
    const { requests } = queue();
    const waiting = requests.next();
    requests.end();
    assert.deepEqual(await waiting, { done: true, value: undefined });
  });

  it("hold their source back while many wait, by number or by size", async () => {
    const { requests, push, calls } = queue();
    for (let count = 0; count < 31; count += 1) push("x");
    assert.deepEqual(calls, []);
    push("x");
    push("x");
    assert.deepEqual(calls, ["pause"]);
    for (let count = 0; count < 33; count += 1) await requests.next();
    assert.deepEqual(calls, ["pause", "resume"]);
    push("x".repeat(64 * 1024));
    assert.deepEqual(calls, ["pause", "resume", "pause"]);
    await requests.next();
    assert.deepEqual(calls, ["pause", "resume", "pause", "resume"]);
  });

  it("fail for whoever waits, and are gone, once the call is over", async () => {
    const { requests, push } = queue();
    const waiting = assert.rejects(requests.next(), over);
    requests.fail(over);
    await waiting;
    push("late");
    await assert.rejects(requests.next(), over);
    const other = queue();
    other.push("never read");
    other.requests.fail(over);
    await assert.rejects(other.requests.next(), over);
  });

  it("reject the reader of one that cannot be decoded", async () => {
    const { requests, push } = queue();
    push("");
    push("good");
    await assert.rejects(requests.next(), { code: "INVALID_ARGUMENT" });
    assert.equal((await requests.next()).value, "0 good");
  });

  it("do not hold the chunk of the socket that they came in", async () => {
    const seen: Buffer[] = [];
    const requests = new RequestQueue({ pause: () => undefined, resume: () => undefined }, (_, bytes) =>
      seen.push(bytes),
    );
    const chunk = Buffer.alloc(64 * 1024, "x");
    requests.push(0, chunk.subarray(100, 200));
    requests.push(0, chunk.subarray(0, 40_000));
    await requests.next();
    await requests.next();
    assert.notEqual(seen[0]?.buffer, chunk.buffer);
    assert.equal(seen[1]?.buffer, chunk.buffer);
    assert.deepEqual(
      seen.map((bytes) => bytes.toString()),
      ["x".repeat(100), "x".repeat(40_000)],
    );
  });
});
