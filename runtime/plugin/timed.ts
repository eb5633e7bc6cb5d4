import type { DeployStep } from "./operations.ts";

/** Does a step of a deploy, and tells how long it took when it is done. */
export async function timed<Result>(
  progress: ((step: DeployStep) => void) | undefined,
  step: DeployStep["step"],
  work: () => Promise<Result>,
): Promise<Result> {
  const start = performance.now();
  const result = await work();
  progress?.({ step, ms: performance.now() - start });
  return result;
}
