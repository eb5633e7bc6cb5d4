/** Load that does not wait for the server: so many requests a second, from a process of its own. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What the process tells; times in milliseconds of the machine's own clock. */
export type SteadyLoadEvent =
  | { readonly type: "begun" }
  /** An answer is not the one before it. */
  | { readonly type: "changed"; readonly answer: string; readonly at: number }
  | { readonly type: "failed"; readonly why: string }
  | { readonly type: "ended"; readonly samples: Samples; readonly failed: number };

/** One entry for each request; not a number for what was never answered. */
export interface Samples {
  /** When it was due. */
  readonly due: Float64Array;
  /** When the generator came to it. */
  readonly seen: Float64Array;
  /** From the time it was due until it was answered. */
  readonly took: Float64Array;
}

export interface SteadyLoad extends Disposable {
  /** Why requests failed, so far; the first hundred. */
  readonly failures: readonly string[];
  /** Resolves to when an answer other than the one before it was this one, not before that time. */
  answered(answer: string, fromMs: number): Promise<number>;
  /** Ends the load; resolves to what was measured. */
  stop(): Promise<{ readonly samples: Samples; readonly failed: number }>;
}

/** The clock that all processes of the machine share. */
export const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

const unansweredMs = 20_000;
const mostFailures = 100;

export async function startSteadyLoad(address: string, perSecond: number): Promise<SteadyLoad> {
  const child = fork(fileURLToPath(new URL("steady-load-process.ts", import.meta.url)), [address, String(perSecond)], {
    serialization: "advanced",
    execArgv: [],
  });
  const changes: { readonly answer: string; readonly at: number }[] = [];
  const failures: string[] = [];
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<{ readonly samples: Samples; readonly failed: number }>();
  let wake: () => void = () => {};
  child.on("message", (event: SteadyLoadEvent) => {
    switch (event.type) {
      case "begun":
        begun.resolve();
        break;
      case "changed":
        changes.push(event);
        wake();
        break;
      case "failed":
        if (failures.length < mostFailures) failures.push(event.why);
        break;
      case "ended":
        ended.resolve(event);
        break;
    }
  });
  child.once("exit", (code) => {
    const error = new Error(`the load ended by itself (${code})`);
    begun.reject(error);
    ended.reject(error);
  });
  ended.promise.catch(() => {});
  await begun.promise;
  return {
    failures,
    async answered(answer, fromMs) {
      const giveUp = performance.now() + unansweredMs;
      for (;;) {
        const found = changes.find((change) => change.answer === answer && change.at >= fromMs);
        if (found !== undefined) return found.at;
        const leftMs = giveUp - performance.now();
        if (leftMs <= 0) throw new Error(`nothing answered '${answer}' within ${unansweredMs / 1000} s`);
        const changed = Promise.withResolvers<void>();
        const timer = setTimeout(changed.resolve, leftMs);
        wake = changed.resolve;
        await changed.promise;
        clearTimeout(timer);
      }
    },
    stop() {
      child.send("stop");
      return ended.promise;
    },
    [Symbol.dispose]: () => void child.kill("SIGKILL"),
  };
}
