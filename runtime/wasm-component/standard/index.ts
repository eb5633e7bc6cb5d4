/** Interfaces that others laid down too, on the sidecar's components. */
import type { ExportedInterface, ImportedInterface } from "../provider.ts";
import { blobstoreInterfaces } from "./blobstore.ts";
import { configInterfaces } from "./config.ts";
import { keyvalueDraft } from "./keyvalue-draft.ts";
import { keyvalueDraft2 } from "./keyvalue-draft2.ts";
import { loggingInterface } from "./logging.ts";
import { messagingImports } from "./messaging-consumer.ts";
import { messagingHandler } from "./messaging-handler.ts";
import { spinInterfaces } from "./spin.ts";

export const standardImports: readonly ImportedInterface[] = [
  ...keyvalueDraft,
  ...keyvalueDraft2,
  ...configInterfaces,
  loggingInterface,
  ...messagingImports,
  ...blobstoreInterfaces,
  ...spinInterfaces,
];

export const standardExports: readonly ExportedInterface[] = [messagingHandler];
