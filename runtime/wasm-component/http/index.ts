import type { ExportedInterface, ImportedInterface } from "../provider.ts";
import { incomingHandler } from "./incoming-handler.ts";
import { outgoingHandler } from "./outgoing-handler.ts";
import { httpTypes } from "./types.ts";

/** What guests import of wasi:http. */
export const httpImports: readonly ImportedInterface[] = [httpTypes, outgoingHandler];

/** What guests are called by. */
export const httpExports: readonly ExportedInterface[] = [incomingHandler];
