import { messageOf } from "../thrown.ts";
import type { SqliteFailure } from "./sqlite-messages.ts";

/** https://sqlite.org/rescode.html */
const resultCode = {
  busy: 5,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  tooBig: 18,
  notADatabase: 26,
};

/** A file that is there and that we do not want. */
export class Refusal extends Error {
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** The failure that an error of the database or the file system is; `path` is for the message. */
export function failureOf(error: unknown, path: string): SqliteFailure {
  if (error instanceof Refusal) return { code: "FAILED_PRECONDITION", reason: error.reason, message: error.message };
  const said = messageOf(error);
  switch (resultCodeOf(error)) {
    case resultCode.busy: {
      const message = `the database file '${path}' is in use by another component or process; each needs a file of its own`;
      return { code: "FAILED_PRECONDITION", reason: "DATABASE_IN_USE", message };
    }
    case resultCode.full: {
      const message = `the database file '${path}' cannot grow: its disk is full, or it has reached maxBytes`;
      return { code: "RESOURCE_EXHAUSTED", reason: "DATABASE_FULL", message };
    }
    case resultCode.tooBig: {
      const message = `a value is larger than the database file '${path}' can hold`;
      return { code: "RESOURCE_EXHAUSTED", reason: "VALUE_TOO_BIG", message };
    }
    case resultCode.corrupt:
    case resultCode.notADatabase: {
      const message = `the database file '${path}' is damaged or is no database (${said}); restore it, or move it away`;
      return { code: "DATA_LOSS", reason: "DATABASE_DAMAGED", message };
    }
    case resultCode.cannotOpen: {
      const message = `the database file '${path}' cannot be opened (${said}); check its path and directory`;
      return { code: "FAILED_PRECONDITION", reason: "DATABASE_UNREACHABLE", message };
    }
    case resultCode.readOnly:
    case resultCode.ioError: {
      const message = `the database file '${path}' cannot be read or written (${said}); check its directory and disk`;
      return { code: "UNAVAILABLE", reason: "DATABASE_UNREACHABLE", message };
    }
    default:
      if (isFileSystemError(error)) {
        const message = `the directory of the database file '${path}' cannot be made (${said})`;
        return { code: "FAILED_PRECONDITION", reason: "DATABASE_UNREACHABLE", message };
      }
      return { code: "INTERNAL", reason: "DATABASE_FAILED", message: `the database file '${path}' failed: ${said}` };
  }
}

/** SQLite's primary result code, or undefined for an error that is not SQLite's. */
function resultCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return undefined;
  return error.errcode & 0xff;
}

/** True when another connection has the file. */
export const isBusy = (error: unknown): boolean => resultCodeOf(error) === resultCode.busy;

const isFileSystemError = (error: unknown): boolean => error instanceof Error && "syscall" in error;
