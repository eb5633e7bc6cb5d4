import { createHash, randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { messageOf } from "../../components/thrown.ts";
import { makeOwnFolder } from "./durable-file.ts";
import { PluginError } from "./plugin-error.ts";

const maxUploads = 2;

/** An upload that came whole; its file goes when it is disposed. */
export interface Upload extends AsyncDisposable {
  readonly bytes: Promise<Uint8Array<ArrayBuffer>>;
  /** `sha256:` and hex. */
  readonly digest: string;
}

/** More than a module may have was sent. */
export class UploadTooLarge extends Error {}
/** So many uploads are coming in that no other is taken. */
export class UploadsBusy extends Error {}

export interface UploadLimits {
  readonly maxBytes: number;
  /** Longest time between two parts of an upload. */
  readonly idleMs: number;
  /** Awaited before anything is written; rejects when that may not be. */
  readonly claim?: () => Promise<void>;
}

/** Modules that are sent to the sidecar lie in files of one folder until they are whole, so that slow ones take no memory. */
export class Uploads {
  readonly #folder: string;
  readonly #limits: UploadLimits;
  #count = 0;

  private constructor(folder: string, limits: UploadLimits) {
    this.#folder = folder;
    this.#limits = limits;
  }

  /** Removes what an earlier process left in the folder. The folder above must be there. */
  static async open(folder: string, limits: UploadLimits): Promise<Uploads> {
    await makeOwnFolder(folder);
    for (const name of await readdir(folder)) await rm(join(folder, name), { force: true });
    return new Uploads(folder, limits);
  }

  /** Takes in all of it. Rejects with UploadTooLarge, UploadsBusy, or PluginError when it ends early or cannot be kept. */
  async receive(body: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Upload> {
    const { maxBytes, idleMs, claim } = this.#limits;
    if (this.#count >= maxUploads) {
      throw new UploadsBusy(`${maxUploads} uploads are coming in already; try again when one has ended`);
    }
    this.#count++;
    const path = join(this.#folder, `${randomBytes(8).toString("hex")}.wasm`);
    const hash = createHash("sha256");
    const idle = new AbortController();
    const timer = setTimeout(() => idle.abort(), idleMs);
    let size = 0;
    const measure = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        timer.refresh();
        size += chunk.length;
        hash.update(chunk);
        if (size > maxBytes) done(new UploadTooLarge(`the module has more than ${maxBytes} bytes`));
        else done(undefined, chunk);
      },
    });
    try {
      await claim?.();
      const file = createWriteStream(path, { flags: "wx", mode: 0o600 });
      await pipeline(body, measure, file, { signal: AbortSignal.any([signal, idle.signal]) });
    } catch (cause) {
      await rm(path, { force: true });
      if (cause instanceof UploadTooLarge) throw cause;
      const why = idle.signal.aborted ? `nothing came for ${idleMs} ms` : messageOf(cause);
      throw new PluginError("", "", "storage", `the upload did not come through: ${why}`, { cause });
    } finally {
      clearTimeout(timer);
      this.#count--;
    }
    return {
      digest: `sha256:${hash.digest("hex")}`,
      get bytes() {
        return readFile(path).then((content) => new Uint8Array(content.buffer, content.byteOffset, content.length));
      },
      [Symbol.asyncDispose]: () => rm(path, { force: true }),
    };
  }
}
