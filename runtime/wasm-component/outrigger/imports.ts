/** The imports of proto/wit/outrigger.wit, each on the building block that it is named for. */
import type { ImportedInterface } from "../provider.ts";
import { bindingInterface, invokeInterface, secretsInterface } from "./outside.ts";
import { configInterface, logInterface, pluginInterface } from "./own.ts";
import { lockInterface, pubsubInterface, sequencerInterface } from "./shared.ts";
import { stateInterface } from "./state.ts";
import { outriggerVersions } from "./version.ts";

/** Interfaces of types alone: a guest that uses these imports them all the same. */
const typesOnly = (name: string): ImportedInterface => ({
  name,
  versions: outriggerVersions,
  waiting: [],
  make: () => ({}),
});

export const outriggerImports: readonly ImportedInterface[] = [
  typesOnly("outrigger:runtime/types"),
  typesOnly("outrigger:runtime/http"),
  pluginInterface,
  stateInterface,
  pubsubInterface,
  configInterface,
  lockInterface,
  sequencerInterface,
  invokeInterface,
  secretsInterface,
  bindingInterface,
  logInterface,
];
