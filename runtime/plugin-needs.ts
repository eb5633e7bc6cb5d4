import type { ComponentKind } from "../components/component.ts";
import { enumerated, kinds, nouns, wantedOf } from "./plugin/grants.ts";
import type { Manifest } from "./plugin/manifest.ts";

/** Every component that is configured, open or not. */
export type ConfiguredComponents = () => Iterable<readonly [kind: ComponentKind, name: string]>;

const isComponentKind = (kind: keyof typeof nouns): kind is ComponentKind =>
  kind !== "invoke" && kind !== "upstreams" && kind !== "foreign";

/**
 * What the sidecar does not have of what a plugin asks for, as the rest of a sentence about it: components that are not
 * configured, each named, with those that are, and schedules that never come. Undefined when it has all.
 */
export async function unmetNeeds(manifest: Manifest, configured: ConfiguredComponents): Promise<string | undefined> {
  const unmet = [missingComponents(manifest, configured), ...(await mistakesInSchedules(manifest))];
  const told = unmet.filter((one) => one !== undefined);
  return told.length === 0 ? undefined : told.join("; it ");
}

function missingComponents(manifest: Manifest, configured: ConfiguredComponents): string | undefined {
  const there = [...configured()];
  const missing: string[] = [];
  const alternatives: string[] = [];
  for (const kind of kinds.filter(isComponentKind)) {
    const names = there.filter(([other]) => other === kind).map(([, name]) => name);
    const absent = wantedOf(manifest, kind).filter((wanted) => !names.includes(wanted));
    if (absent.length === 0) continue;
    missing.push(...absent.map((wanted) => `${nouns[kind]} '${wanted}'`));
    alternatives.push(`${nouns[kind]}s: ${names.sort().join(", ") || "none"}`);
  }
  if (missing.length === 0) return undefined;
  const are = missing.length === 1 ? "is" : "are";
  return `needs ${enumerated(missing)}, which ${are} not configured (there are ${alternatives.join("; ")})`;
}

async function mistakesInSchedules({ schedules }: Manifest): Promise<string[]> {
  if (schedules.length === 0) return [];
  const { mistakeInSchedule } = await import("../components/ticking.ts");
  return schedules.flatMap(({ name, cron, timeZone }) => {
    const mistake = mistakeInSchedule(cron, timeZone);
    return mistake === undefined ? [] : [`has a mistake in the cron of its schedule '${name}': ${mistake}`];
  });
}
