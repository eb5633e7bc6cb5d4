import { parse } from "yaml";
import { type CommandCall, durationOf, numberOf } from "./command-call.ts";
import { misuse } from "./command-error.ts";

type Given = Pick<CommandCall, "text" | "is">;
type Section = Readonly<Record<string, unknown>>;

const isSection = (value: unknown): value is Section =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * What the options of a deploy say of its rollout, laid over what the manifest says when there is one; undefined when no option
 * says anything, and the manifest counts alone.
 */
export function rolloutOf(call: Given, manifestText: string | undefined): Section | undefined {
  const canary = canaryOf(call);
  const streams = numberOf(call, "minimum-streams", 1, 1e9);
  const window = durationOf(call, "window") === undefined ? undefined : call.text("window");
  const given: Section = {
    ...(call.is("staged") && { stagedOnly: true }),
    ...(call.is("manual") && { promotion: "manual" }),
    ...(window !== undefined && { window }),
    ...(streams !== undefined && { minimumStreams: streams }),
  };
  const says = canary !== undefined || Object.keys(given).length > 0;
  if (call.is("at-once")) {
    if (says) throw misuse("--at-once leaves no place for a trial; leave it out, or the other options of a rollout");
    return {};
  }
  if (!says) return undefined;
  const manifest: unknown = manifestText === undefined ? undefined : parse(manifestText);
  const written = isSection(manifest) && isSection(manifest["rollout"]) ? manifest["rollout"] : {};
  const before = isSection(written["canary"]) ? written["canary"] : {};
  const share = canary === undefined ? undefined : { ...before, ...canary };
  if (share !== undefined && share["percent"] === 0 && !("header" in share) && !("cookie" in share)) {
    throw misuse("--canary 0 gives the new version nothing; give it more, or a --header or --cookie");
  }
  return { ...written, ...given, ...(share !== undefined && { canary: share }) };
}

function canaryOf(call: Given): Section | undefined {
  const percent = numberOf(call, "canary", 0, 100);
  const header = matchOf(call, "header");
  const cookie = matchOf(call, "cookie");
  if (percent === undefined && header === undefined && cookie === undefined) return undefined;
  return {
    ...(percent !== undefined && { percent }),
    ...(header !== undefined && { header }),
    ...(cookie !== undefined && { cookie }),
  };
}

/** `x-beta=yes`: what follows the first `=` is the value. */
function matchOf(call: Given, option: "header" | "cookie"): Section | undefined {
  const text = call.text(option);
  if (text === undefined) return undefined;
  const at = text.indexOf("=");
  const name = at < 0 ? text : text.slice(0, at);
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw misuse(`--${option} '${text}': expected NAME or NAME=VALUE`);
  return { name, ...(at >= 0 && { value: text.slice(at + 1) }) };
}
