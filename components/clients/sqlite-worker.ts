/** The thread that has a database file open: each message is a batch of calls, which it makes one transaction. */
import { parentPort, workerData } from "node:worker_threads";
import { packOutcomes, unpackCalls } from "./sqlite-codec.ts";
import { failureOf } from "./sqlite-failure.ts";
import { OpenFile } from "./sqlite-file.ts";
import type { SqliteFile, SqliteReply, SqliteRequest } from "./sqlite-messages.ts";

const reply = (message: SqliteReply, transfer: ArrayBuffer[] = []): void => parentPort?.postMessage(message, transfer);

function serve(opened: OpenFile): void {
  parentPort?.on("message", (request: SqliteRequest) => {
    if (request.kind === "run") {
      const outcomes = packOutcomes(opened.run(unpackCalls(request.calls)));
      reply({ kind: "ran", outcomes }, [outcomes.bytes.buffer]);
    } else {
      opened.close();
      reply({ kind: "closed" });
      parentPort?.close();
    }
  });
  reply({ kind: "opened" });
}

const file: SqliteFile = workerData;
try {
  serve(new OpenFile(file));
} catch (error) {
  reply({ kind: "refused", failure: failureOf(error, file.path) });
}
