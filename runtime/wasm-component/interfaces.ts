/** The one list of what guests may import, and the one of what they are called by. */
import { nearest } from "../config/nearest.ts";
import type { PluginProgram } from "../plugin/contract.ts";
import { httpExports, httpImports } from "./http/index.ts";
import { isNameOf, type VersionedInterface } from "./interface-name.ts";
import { outriggerExports } from "./outrigger/exports.ts";
import { filterInterface, responseFilterInterface } from "./outrigger/filter.ts";
import { outriggerImports } from "./outrigger/imports.ts";
import type { ExportedInterface, ImportedInterface } from "./provider.ts";
import { standardExports, standardImports } from "./standard/index.ts";
import type { AsyncInterfaces } from "./transpiled.ts";
import { wasiImports } from "./wasi/index.ts";

const importedInterfaces: readonly ImportedInterface[] = [
  ...outriggerImports,
  ...wasiImports,
  ...httpImports,
  ...standardImports,
];

/** In this order they are asked for a stream: those that take only what the sidecar brings come before those that take every request. */
const exportedInterfaces: readonly ExportedInterface[] = [...standardExports, ...outriggerExports, ...httpExports];

/** What of a component may be suspended: functions that wait, and those by which it is called. */
export const asyncInterfaces: AsyncInterfaces = {
  imports: importedInterfaces
    .filter(({ waiting }) => waiting.length > 0)
    .map(({ name, versions, waiting }) => ({ name, versions, functions: waiting })),
  exports: exportedInterfaces.map(({ name, versions, functions }) => ({ name, versions, functions })),
};

/** The interface of that name in full, such as `wasi:io/streams@0.2.3`; undefined when guests may not import it. */
export const importedInterface = (fullName: string): ImportedInterface | undefined =>
  importedInterfaces.find((one) => isNameOf(one, fullName));

/** Those of the names that guests may not import. */
export const missingAmong = (imports: readonly string[]): readonly string[] =>
  imports.filter((name) => importedInterface(name) === undefined);

/** Says of a component what it lacks, each with what the host has of nearly the same name. */
export const missingImports = (missing: readonly string[]): string =>
  `imports what this host does not have: ${missing.map(withNearest).join(", ")}`;

function withNearest(name: string): string {
  const near = nearest(name, importableNames());
  return near === undefined ? name : `${name} (the host has ${near})`;
}

/** Those that a component with these exports is called by, each with the name in full, in the order of asking. */
export function exportedAmong(
  exports: readonly string[],
): readonly { readonly name: string; readonly called: ExportedInterface }[] {
  return exportedInterfaces.flatMap((called) =>
    exports.filter((name) => isNameOf(called, name)).map((name) => ({ name, called })),
  );
}

/** How a component with these exports is spoken to, as its status tells it: `component wasi:http/incoming-handler@0.2.3`. */
export function spokenTo(exports: readonly string[]): string {
  const names = exportedAmong(exports).map(({ name }) => name);
  return names.length === 0 ? "component" : `component ${names.join(", ")}`;
}

/** What a component is that is called by it. */
export const kindOf = (called: ExportedInterface): PluginProgram["kind"] =>
  called === filterInterface || called === responseFilterInterface ? "filter" : "service";

/** Names in full of all that may be imported, as a message tells them: `wasi:io/streams@0.2`. */
export const importableNames = (): readonly string[] => importedInterfaces.flatMap(namesOf);

/** Names in full of all that a component may be called by. */
export const callableNames = (): readonly string[] => exportedInterfaces.flatMap(namesOf);

function namesOf({ name, versions }: VersionedInterface): readonly string[] {
  return versions === "0.2" ? [`${name}@0.2`] : versions.map((version) => `${name}@${version}`);
}
