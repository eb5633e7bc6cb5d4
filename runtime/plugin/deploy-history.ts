import { open, readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { codeOf } from "../../components/thrown.ts";
import { syncFolder } from "./durable-file.ts";
import type { HistoryEntry } from "./versions.ts";

const maxReasonLength = 1_000;

const entrySchema = z.object({
  at: z.number(),
  plugin: z.string(),
  action: z.enum(["deploy", "promote", "abort", "pause", "resume", "rollback", "undeploy"]),
  version: z.string(),
  digest: z.string(),
  by: z.string(),
  outcome: z.enum(["done", "refused"]),
  reason: z.string().optional(),
});

/**
 * Who did what with which plugin: lines of JSON in `history.jsonl` of a folder. A file that has grown to `maxBytes` becomes
 * `history.1.jsonl`, in place of the one before. A line that was cut off is left out.
 */
export class DeployHistory {
  readonly #folder: string;
  readonly #path: string;
  readonly #olderPath: string;
  readonly #maxBytes: number;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(folder: string, maxBytes = 1024 ** 2) {
    this.#folder = folder;
    this.#path = join(folder, "history.jsonl");
    this.#olderPath = join(folder, "history.1.jsonl");
    this.#maxBytes = maxBytes;
  }

  /** Resolves when the line is durable. */
  append(entry: HistoryEntry): Promise<void> {
    const { reason } = entry;
    const short = reason === undefined ? entry : { ...entry, reason: reason.slice(0, maxReasonLength) };
    return this.#inTurn(() => this.#write(`${JSON.stringify(short)}\n`));
  }

  /** The newest first. */
  async read(limit: number, plugin?: string): Promise<HistoryEntry[]> {
    const files = await this.#inTurn(async () => [await textOf(this.#path), await textOf(this.#olderPath)]);
    const found: HistoryEntry[] = [];
    for (const text of files) {
      const lines = text.split("\n");
      while (lines.length > 0 && found.length < limit) {
        const entry = parseLine(lines.pop() ?? "");
        if (entry !== undefined && (plugin === undefined || entry.plugin === plugin)) found.push(entry);
      }
    }
    return found;
  }

  async #write(line: string): Promise<void> {
    const size = (await stat(this.#path).catch(() => undefined))?.size ?? 0;
    const isFull = size > 0 && size + Buffer.byteLength(line) > this.#maxBytes;
    if (isFull) await rename(this.#path, this.#olderPath);
    await using file = await open(this.#path, "a+", 0o600);
    // What was cut off stays a line of its own.
    const isTorn = !isFull && size > 0 && (await file.read(Buffer.alloc(1), 0, 1, size - 1)).buffer[0] !== 10;
    await file.appendFile(isTorn ? `\n${line}` : line);
    await file.sync();
    if (isFull || size === 0) await syncFolder(this.#folder);
  }

  #inTurn<Result>(task: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(task);
    this.#turn = result.catch(() => {});
    return result;
  }
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "";
    throw error;
  }
}

function parseLine(line: string): HistoryEntry | undefined {
  if (line === "") return undefined;
  try {
    const { reason, ...entry } = entrySchema.parse(JSON.parse(line));
    return reason === undefined ? entry : { ...entry, reason };
  } catch {
    return undefined;
  }
}
