/** The thread that has database files open: each message is for one of them, and a batch of calls becomes one transaction. */
import { parentPort } from "node:worker_threads";
import { packOutcomes, unpackCalls } from "./sqlite-codec.ts";
import { failureOf } from "./sqlite-failure.ts";
import { OpenFile } from "./sqlite-file.ts";
import type { SqliteFile, SqliteReply, SqliteRequest, SqliteThreadRequest } from "./sqlite-messages.ts";

const files = new Map<number, OpenFile>();

function open(file: number, settings: SqliteFile): SqliteReply {
  try {
    files.set(file, new OpenFile(settings));
    return { kind: "opened" };
  } catch (error) {
    return { kind: "refused", failure: failureOf(error, settings.path) };
  }
}

function answer(file: number, request: SqliteRequest): SqliteReply {
  if (request.kind === "open") return open(file, request.file);
  const opened = files.get(file);
  if (opened === undefined) throw new RangeError(`there is no open file ${file}`);
  if (request.kind === "run") return { kind: "ran", outcomes: packOutcomes(opened.run(unpackCalls(request.calls))) };
  files.delete(file);
  opened.close();
  return { kind: "closed" };
}

parentPort?.on("message", (message: SqliteThreadRequest) => {
  if ("file" in message) {
    const { file, request } = message;
    const reply = answer(file, request);
    parentPort?.postMessage({ file, reply }, reply.kind === "ran" ? [reply.outcomes.bytes.buffer] : []);
  } else {
    for (const opened of files.values()) opened.close();
    parentPort?.close();
  }
});
