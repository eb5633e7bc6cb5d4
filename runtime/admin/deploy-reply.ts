import type { Deployed, DeployRequest, PullProgress } from "../plugin/deployments.ts";
import type { DeployStep } from "../plugin/operations.ts";
import { told } from "./failure.ts";
import type { LinesReply, Reply } from "./route.ts";

/** Starts a deploy, which tells the function what happens. */
export type StartDeploy = (progress: DeployRequest["progress"]) => Promise<Deployed>;

/** Bytes of a pull are told so often. */
const pullMs = 100;

/** The status once all is done; or, line by line, what happens until then, and at the end the status or the error. */
export async function deployReply(start: StartDeploy, asLines: boolean): Promise<Reply | LinesReply> {
  if (asLines) return { lines: progressOf(start) };
  try {
    const { status, isNew } = await start(undefined);
    return { status: isNew ? 201 : 200, body: status };
  } catch (error) {
    throw told(error);
  }
}

async function* progressOf(start: StartDeploy): AsyncGenerator<unknown> {
  const waiting: unknown[] = [];
  let wake = Promise.withResolvers<void>();
  let lastPullAt = Number.NEGATIVE_INFINITY;
  let isDone = false;
  const say = (line: unknown): void => {
    waiting.push(line);
    wake.resolve();
  };
  const progress = (event: DeployStep | PullProgress): void => {
    if ("step" in event) say({ step: event.step, ms: Math.round(event.ms * 10) / 10 });
    else if (event.receivedBytes === event.totalBytes || performance.now() - lastPullAt >= pullMs) {
      lastPullAt = performance.now();
      say({ pull: event });
    }
  };
  const finish = (line: unknown): void => {
    isDone = true;
    say(line);
  };
  start(progress).then(
    ({ status }) => finish({ status }),
    (error: unknown) => {
      try {
        const { message, status } = told(error);
        finish({ error: message, code: status });
      } catch {
        finish({ error: `the deploy failed: ${String(error)}`, code: 500 });
      }
    },
  );
  while (!isDone || waiting.length > 0) {
    yield* waiting.splice(0);
    if (isDone || waiting.length > 0) continue;
    await wake.promise;
    wake = Promise.withResolvers();
  }
}
