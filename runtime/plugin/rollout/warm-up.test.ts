import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { FilterAction, StreamFilter, StreamHost } from "../contract.ts";
import { parseManifest } from "../manifest.ts";
import { PluginError } from "../plugin-error.ts";
import { warmUp } from "./warm-up.ts";

const manifest = parseManifest("name: toy\nversion: '1'\n", "toy.yaml", "toy");

/** Counts the streams that begin and that end; the head of each is answered so. */
function taker(action: FilterAction) {
  const counts = { opened: 0, ended: 0 };
  const goOn = (): FilterAction => "continue";
  const [requestBody, requestTrailers, responseHeaders, responseBody, responseTrailers] = Array(5).fill(goOn);
  const open = (): StreamFilter => {
    counts.opened++;
    const end = (): void => {
      counts.ended++;
    };
    return {
      requestHeaders: () => action,
      requestBody,
      requestTrailers,
      responseHeaders,
      responseBody,
      responseTrailers,
      end,
    };
  };
  return { open, counts };
}

const unasked = (): void => assert.fail("nothing holds the answer back");

describe("warming up", () => {
  it("gives each pool its requests, and lets the event loop turn between two", async () => {
    const [first, second] = [taker("continue"), taker("pause")];
    let isDone = false;
    const done = warmUp([first, second], manifest, { requests: 20 }).then(() => {
      isDone = true;
    });
    let turns = 0;
    for (; !isDone; turns++) await turn();
    await done;
    assert.deepEqual(
      [first.counts, second.counts],
      [
        { opened: 20, ended: 20 },
        { opened: 20, ended: 20 },
      ],
    );
    assert.ok(turns >= 40, `${turns} turns`);
  });

  it("is refused when it takes too long altogether", async () => {
    const hanging = taker("suspended");
    await assert.rejects(warmUp([hanging], manifest, { requests: 7, withinMs: 20 }), {
      fault: "deadline",
      message:
        "plugin 'toy' cannot be deployed: its rollout.warmUp of 7 requests for each configuration in use takes more than 0.02 s; ask for fewer",
    });
    assert.deepEqual(hanging.counts, { opened: 1, ended: 1 });
  });

  it("waits for the whole answer of a service, and no longer", async () => {
    const service = parseManifest("name: toy\nversion: '1'\nkind: service\n", "toy.yaml", "toy");
    const answers: (() => void)[] = [];
    const counts = { opened: 0, ended: 0 };
    const { open } = taker("pause");
    const answering = (host: StreamHost): StreamFilter => {
      counts.opened++;
      const sink = host.answer({ pause: unasked, resume: unasked, reset: unasked });
      answers.push(() => {
        sink?.head([[":status", "200"]], false);
        sink?.data(Buffer.from("hello"), true);
      });
      return { ...open(), end: () => void counts.ended++ };
    };
    const warming = warmUp([{ open: answering }], service, { requests: 2 });
    for (const round of [1, 2]) {
      while (answers.length < round) await turn();
      await turn();
      assert.deepEqual(counts, { opened: round, ended: round - 1 });
      answers[round - 1]?.();
    }
    await warming;
    assert.deepEqual(counts, { opened: 2, ended: 2 });
  });

  it("waits for nothing of a service that lets a request pass", async () => {
    const service = parseManifest("name: toy\nversion: '1'\nkind: service\n", "toy.yaml", "toy");
    const passing = taker("continue");
    await warmUp([passing], service, { requests: 2, signal: AbortSignal.timeout(60_000), withinMs: 60_000 });
    assert.deepEqual(passing.counts, { opened: 2, ended: 2 });
  });

  it("ends with its signal, also while a guest waits", async () => {
    const hanging = taker("suspended");
    const ending = new AbortController();
    const reason = new PluginError("toy", "", "conflict", "something else is wanted");
    const warming = warmUp([hanging], manifest, { requests: 7, signal: ending.signal });
    ending.abort(reason);
    await assert.rejects(warming, reason);
    assert.deepEqual(hanging.counts, { opened: 1, ended: 1 });
  });
});
