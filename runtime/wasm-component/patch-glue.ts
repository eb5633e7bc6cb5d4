/** What is changed in the code that jco generates. Every change must find its place: a new version of jco that writes otherwise is found out. */
import { SandboxError } from "../plugin/sandbox/sandbox-error.ts";
import { stripTraces } from "./strip-traces.ts";
import { watchCrossings } from "./watch-crossings.ts";

/** More handles of one resource than a guest should hold at once. */
const mostHandles = 65_536;
/** Resources of its own that one instance makes in its life: what is remembered of each is never forgotten. */
const mostOwnResources = 1_048_576;

interface Change {
  readonly what: string;
  /** There is nothing to change in code without this: a component without resources has no tables of them. */
  readonly where?: string;
  readonly from: RegExp;
  readonly to: string;
}

const tooMany = 'throw new WebAssemblyRuntimeError("too many resource handles");';
const guard = `if (free === 0 && table.length >= ${2 * mostHandles + 2}) ${tooMany}`;

const changes: readonly Change[] = [
  {
    what: "the reading of the environment at every step",
    where: "JCO_DEBUG",
    from: /if \(!globalThis\?\.process\?\.env\?\.JCO_DEBUG\) \{ return; \}/,
    to: "return;",
  },
  { what: "the exported function", from: /^export (?=(?:async )?function instantiate\()/m, to: "" },
  { what: "the exported helpers", from: /^export (?=const _util )/m, to: "" },
  {
    what: "the end of the exported function",
    // A function in parentheses is compiled with the code around it, and so lies in what is kept of that.
    from: /^((?:async )?function instantiate\([\s\S]*?\n\});(?=\s*const _util )/m,
    to: "const instantiate = ($1);",
  },
  {
    what: "the tables of borrowed handles",
    where: "function rscTableCreateBorrow(",
    from: /(function rscTableCreateBorrow\(table, rep, scopeId\) \{[^}]*?\}\s*const free = [^;]+;)/,
    to: `$1 ${guard}`,
  },
  {
    what: "the tables of handles",
    where: "function rscTableCreateOwn(",
    from: /(function rscTableCreateOwn\(table, rep\) \{\s*const free = [^;]+;)/,
    to: `$1 ${guard} if (table._createdReps.size >= ${mostOwnResources}) ${tooMany}`,
  },
  {
    what: "the events of host calls",
    where: "function _lowerImportBackwardsCompat(",
    // A call that hands its result to a waiting guest has no event. One that were left would fail each of them, unseen.
    from: /subtask\.setOnProgressFn\((?=\(\) => \{\s*subtask\.setPendingEvent\()/,
    to: "if (isAsync || funcTypeIsAsync) subtask.setOnProgressFn(",
  },
  {
    what: "the search for what a host call may have let go on",
    where: "function _trackHostOperation(",
    from: /(for \(const state of ASYNC_STATE\.values\(\)\)) \{ state\.runTickLoop\(\); \}\s*_checkForDeadlock\(\);/,
    to: "$1 if (!state.suspendedTaskMetas().next().done) { state.runTickLoop(); _checkForDeadlock(); }",
  },
];

/** The host's resources: which of them the guest once had is asked for by nobody, and would be remembered for good. */
const importedTable = /(handleTable(\d+)\._componentIdx = -?\d+;)(?=\s*const captureTable\d+\s*=)/g;

/** The body of a function that returns `instantiate`. Throws SandboxError when the code is not as it should be. */
export function patchGlue(source: string): string {
  let text = source;
  for (const { what, where = "", from, to } of changes) {
    if (!text.includes(where)) continue;
    if (!from.test(text))
      throw new SandboxError(`the code generated for the component is not as expected: ${what} was not found`);
    text = text.replace(from, to);
  }
  const hostResources = text.match(/\bconst captureTable\d+\s*=/g)?.length ?? 0;
  if ((text.match(importedTable)?.length ?? 0) !== hostResources)
    throw new SandboxError(
      "the code generated for the component is not as expected: a table of resources was not found",
    );
  text = text.replace(importedTable, "$1 handleTable$2._createdReps = { size: 0, add() {}, has: () => false };");
  text = stripTraces(watchCrossings(text));
  text = text.replaceAll("import.meta.url", '"file:///component.js"');
  if (/^\s*(?:import|export)\b/m.test(text) || text.includes("import.meta"))
    throw new SandboxError("the code generated for the component has an import or export that is not known");
  return `"use strict";\n${text}\nreturn instantiate;`;
}

/** How many instances the code makes of each core module, by the names under which it asks for them. */
export function countInstances(glue: string): ReadonlyMap<string, number> {
  const names = new Map<string, string>();
  for (const [, variable, name] of glue.matchAll(/const (module\d+) = getCoreModule\('([^']+)'\);/g))
    names.set(variable ?? "", name ?? "");
  const counts = new Map<string, number>();
  for (const [, variable] of glue.matchAll(/\byield instantiateCore\(yield (module\d+)\b/g)) {
    const name = names.get(variable ?? "");
    if (name === undefined) throw new SandboxError(`the code generated for the component makes ${variable} of nothing`);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}
