import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import { DeadlineQueue, type Expiring } from "./deadline-queue.ts";

class Thing implements Expiring {
  expiresAtMs = 0;
  earlier: Expiring | undefined = undefined;
  later: Expiring | undefined = undefined;
  readonly #name: string;
  readonly #heard: string[];

  constructor(name: string, heard: string[]) {
    this.#name = name;
    this.#heard = heard;
  }

  expired(): void {
    this.#heard.push(this.#name);
  }
}

describe("a queue of deadlines", () => {
  it("tells those whose time is up, in order, and not those that were removed", (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    let nowMs = 1_000;
    mock.method(performance, "now", () => nowMs);
    const pass = (ms: number): void => {
      nowMs += ms;
      context.mock.timers.tick(ms);
    };
    try {
      const heard: string[] = [];
      using queue = new DeadlineQueue(100);
      const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => new Thing(name, heard));
      assert.ok(a && b && c && d);
      queue.add(a);
      pass(10);
      queue.add(b);
      queue.add(c);
      pass(50);
      queue.add(d);
      queue.remove(b);
      queue.remove(b);
      pass(39);
      assert.deepEqual(heard, []);
      pass(1);
      assert.deepEqual(heard, ["a"]);
      pass(10);
      assert.deepEqual(heard, ["a", "c"]);
      queue.remove(d);
      pass(1_000);
      assert.deepEqual(heard, ["a", "c"]);
      queue.add(a);
      pass(100);
      assert.deepEqual(heard, ["a", "c", "a"]);
    } finally {
      mock.restoreAll();
    }
  });
});
