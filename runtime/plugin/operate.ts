import type { DeployUnderWay } from "./deploys-under-way.ts";
import { PluginError } from "./plugin-error.ts";
import type { RolloutEvent } from "./rollout/machine.ts";
import type { Rollout, Transit } from "./rollout/rollout.ts";

/** What can be asked for by hand of a plugin that is deployed. */
export type Operation = Extract<RolloutEvent, { type: "promote" | "abort" | "pause" | "resume" | "rollback" }>;

export interface OperateTerms {
  readonly name: string;
  readonly rollout: Rollout;
  readonly transit: Transit;
  readonly by: string;
  readonly signal: AbortSignal | undefined;
  /** The deploy that gave up because of the operation, if one did. */
  readonly ended: DeployUnderWay | undefined;
}

/** When it is its turn: does what was asked for. Rejects with PluginError, and leaves everything as it is, when it is not possible. */
export async function operatePlugin(event: Operation, terms: OperateTerms): Promise<void> {
  const { name, rollout, transit, by, signal, ended } = terms;
  const { stable, candidate } = rollout;
  try {
    if (ended !== undefined && candidate === undefined && isThere(event, rollout)) {
      const reason = `version ${ended.version} was being deployed`;
      await rollout.note(event.type, ended, { by, reason });
      return;
    }
    requireAwaited(name, signal);
    await transit(event, { by });
  } catch (error) {
    await rollout.note(event.type, candidate ?? stable, { by, error });
    throw error;
  }
}

/** Throws when who asked for something to be done to the plugin has left before it was their turn. */
export function requireAwaited(name: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  const message = `nothing was done to plugin '${name}': who asked left before it was their turn`;
  throw new PluginError(name, "", "closed", message);
}

/** Whether nothing else is to be done once the deploys are ended that were under way. */
function isThere(event: Operation, { stable }: Rollout): boolean {
  const to = event.type === "rollback" ? event.to : undefined;
  return to === undefined || stable?.version === to || stable?.digest === to;
}
