/** What the thread of the database files and their owners say to each other. */

/** NULL is `undefined`. */
export type SqliteValue = string | number | bigint | Uint8Array | undefined;

/** What the thread needs to open a file. */
export interface SqliteFile {
  readonly path: string;
  /** Tables and indexes, each `IF NOT EXISTS`. */
  readonly schema: string;
  /** The SQL that steps name by its position here. */
  readonly statements: readonly string[];
  /** Most bytes of the file; absent for as many as the disk has. */
  readonly maxBytes?: number;
}

/** One statement to run; with `mustChange`, a statement that changes no row refuses the whole call. */
export interface SqliteStep {
  readonly statement: number;
  readonly mustChange: boolean;
  readonly values: readonly SqliteValue[];
}

/** What a statement did: the rows it changed or gave, and those rows, each with its columns in order. */
export interface SqliteResult {
  readonly changes: number;
  readonly rows: readonly (readonly SqliteValue[])[];
}

/** The failures there are, as codes of RuntimeError. */
export const failureCodes = [
  "INTERNAL",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "UNAVAILABLE",
  "DATA_LOSS",
] as const;

/** Why the file could not be opened or a call not be served; it becomes a RuntimeError. */
export interface SqliteFailure {
  readonly code: (typeof failureCodes)[number];
  readonly reason: string;
  readonly message: string;
}

/** What came of a call: all of its steps, or none of them because a step was refused or failed. */
export type SqliteOutcome =
  | { readonly kind: "done"; readonly results: readonly SqliteResult[] }
  | { readonly kind: "refused"; readonly step: number }
  | { readonly kind: "failed"; readonly failure: SqliteFailure };

/** Calls or outcomes in the form in which they cross between threads; see sqlite-codec.ts. */
export interface Packed {
  readonly cells: readonly (string | number | bigint | true | undefined)[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export type SqliteRequest =
  | { readonly kind: "open"; readonly file: SqliteFile }
  | { readonly kind: "run"; readonly calls: Packed }
  | { readonly kind: "close" };
export type SqliteReply =
  | { readonly kind: "opened" }
  | { readonly kind: "refused"; readonly failure: SqliteFailure }
  | { readonly kind: "ran"; readonly outcomes: Packed }
  | { readonly kind: "closed" };

/** A request for one of the files by its number, or the word to close all of them and end. */
export type SqliteThreadRequest = { readonly file: number; readonly request: SqliteRequest } | { readonly kind: "end" };
