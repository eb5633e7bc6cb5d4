import type { ExportedInterface, ImportedInterface } from "../provider.ts";

export const httpExports: readonly ExportedInterface[] = [];

export const httpImports: readonly ImportedInterface[] = [];
