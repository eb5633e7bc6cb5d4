import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TurnBatch } from "./turn-batch.ts";

/** A batch that records what is sent together, and answers each request with itself unless it is told to fail. */
function recording(failing: (requests: readonly string[]) => Error | undefined = () => undefined) {
  const sent: (readonly string[])[] = [];
  const batch = new TurnBatch<string, string>({
    limit: { requests: 3, bytes: 100 },
    isOfOne: (error) => error instanceof RangeError,
    async send(requests) {
      sent.push(requests);
      await new Promise(setImmediate);
      const error = failing(requests);
      if (error !== undefined) throw error;
      return requests;
    },
  });
  return { sent, batch };
}

describe("a batch of one turn", () => {
  it("sends together what was asked together, and gives each its own reply", async () => {
    const { sent, batch } = recording();
    assert.deepEqual(await Promise.all([batch.ask("a", 1), batch.ask("b", 1)]), ["a", "b"]);
    assert.deepEqual(sent, [["a", "b"]]);
  });

  it("does not keep one that is alone waiting for the end of the turn", async () => {
    const { sent, batch } = recording();
    const answer = batch.ask("a", 1);
    await new Promise<void>((resolve) => process.nextTick(resolve));
    assert.deepEqual(sent, [["a"]]);
    await answer;
  });

  it("gathers what comes in a whole turn while something is in flight", async () => {
    const { sent, batch } = recording();
    const first = batch.ask("a", 1);
    await new Promise<void>((resolve) => process.nextTick(resolve));
    const second = batch.ask("b", 1);
    await new Promise<void>((resolve) => process.nextTick(resolve));
    const third = batch.ask("c", 1);
    await Promise.all([first, second, third]);
    assert.deepEqual(sent, [["a"], ["b", "c"]]);
  });

  it("keeps to its limits of requests and bytes", async () => {
    const { sent, batch } = recording();
    const sizes: readonly (readonly [string, number])[] = [
      ["a", 1],
      ["b", 1],
      ["c", 1],
      ["d", 60],
      ["e", 60],
      ["f", 1000],
      ["g", 1],
    ];
    await Promise.all(sizes.map(([request, bytes]) => batch.ask(request, bytes)));
    assert.deepEqual(sent, [["a", "b", "c"], ["d"], ["e"], ["f"], ["g"]]);
  });

  it("sends each alone when one of them made the batch fail, so that only that one fails", async () => {
    const { sent, batch } = recording((requests) => (requests.includes("b") ? new RangeError("not b") : undefined));
    const outcomes = await Promise.allSettled([batch.ask("a", 1), batch.ask("b", 1), batch.ask("c", 1)]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.deepEqual(sent, [["a", "b", "c"], ["a"], ["b"], ["c"]]);
  });

  it("sends nothing twice when the failure was nobody's own", async () => {
    const { sent, batch } = recording(() => new Error("the connection is lost"));
    const outcomes = await Promise.allSettled([batch.ask("a", 1), batch.ask("b", 1)]);
    assert.ok(outcomes.every((outcome) => outcome.status === "rejected" && /is lost/.test(outcome.reason.message)));
    assert.equal(sent.length, 1);
  });

  it("is drained once all has been answered, also what was sent again", async () => {
    const { batch } = recording((requests) => (requests.length > 1 ? new RangeError("too many") : undefined));
    let answered = 0;
    for (const request of ["a", "b"]) void batch.ask(request, 1).then(() => answered++);
    await batch.drain();
    assert.equal(answered, 2);
    await batch.drain();
  });
});
