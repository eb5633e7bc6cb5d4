import { constants } from "node:fs";
import { type FileHandle, open, readFile } from "node:fs/promises";
import { basename } from "node:path";
import { type Readable, Transform } from "node:stream";
import { fileURLToPath } from "node:url";
import { codeOf } from "../../components/thrown.ts";
import { moduleProblem, readManifestBeside } from "../plugin/artifact.ts";
import { signatureExtension } from "../plugin/companion-files.ts";
import { unpackManifest } from "../plugin/packed-manifest.ts";
import { maxModuleBytes } from "../plugin/sandbox/module-limit.ts";
import type { Input } from "./command-call.ts";
import { CommandError, exitCodes, misuse } from "./command-error.ts";

/** A module that lies here, and is sent piece by piece. */
export interface ModuleUpload extends AsyncDisposable {
  readonly stream: Readable;
  /** Undefined when it is not known before the end. */
  readonly bytes: number | undefined;
  /** The manifest that counts, wherever it was; undefined when there is none, or it cannot be seen before it is sent. */
  readonly manifest: string | undefined;
  /** Whether the manifest must be sent along, because the one inside does not count. */
  readonly sendsManifest: boolean;
  /** The signature beside it in base64; undefined when there is none. */
  readonly signature: string | undefined;
  /** What a module without a manifest is called, after its file. */
  readonly name: string | undefined;
}

export interface UploadSource {
  /** A path, `file:` and a path, or `-`. */
  readonly from: string;
  /** The file with a manifest in place of the module's own. */
  readonly manifest: string | undefined;
  readonly input: () => Input;
  /** Told how much was sent so far, and how much there is. */
  readonly sent: (bytes: number, total: number | undefined) => void;
}

/** A manifest inside a module stands at its beginning. */
const headBytes = 1024 ** 2;

/** What `cosign sign-blob` makes has less than a tenth of it. */
const maxSignatureBytes = 8 * 1024;

/** A pipe that nobody writes to would hold up the command. */
const withoutWaiting = constants.O_RDONLY | constants.O_NONBLOCK;

/** Opens the module and finds its manifest: the one that is named, else the one beside it, else the one inside it. */
export async function openUpload({ from, manifest: named, input, sent }: UploadSource): Promise<ModuleUpload> {
  const given = named === undefined ? undefined : await textIn(named);
  if (from === "-") {
    const stream = input();
    if (stream.isTTY === true)
      throw misuse("- takes the module from standard input, which is a terminal; pipe a file into it");
    return {
      stream: counted(stream, undefined, sent),
      bytes: undefined,
      manifest: given,
      sendsManifest: given !== undefined,
      signature: undefined,
      name: undefined,
      [Symbol.asyncDispose]: async () => void stream.destroy(),
    };
  }
  const path = /^file:/i.test(from) ? pathOf(from) : from;
  const file = await openFile(path);
  try {
    const { size } = await file.stat();
    if (size > maxModuleBytes) {
      const message = `${path} has ${size} bytes; a module has at most ${maxModuleBytes}`;
      throw new CommandError(exitCodes.refused, message);
    }
    const beside = given ?? (path.endsWith(".wasm") ? (await readManifestBeside(path))?.text : undefined);
    const head = await headOf(file);
    const problem = moduleProblem(head);
    if (problem?.kind === "foreign") throw new CommandError(exitCodes.refused, `${path}: ${problem.message}`);
    const manifest = beside ?? unpackManifest(head)?.manifest;
    return {
      stream: counted(file.createReadStream({ start: 0, end: Math.max(0, size - 1), autoClose: false }), size, sent),
      bytes: size,
      manifest,
      sendsManifest: beside !== undefined,
      signature: await signatureBeside(path),
      name: manifest === undefined ? basename(path, ".wasm") : undefined,
      [Symbol.asyncDispose]: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** What lies there and is no text in base64 is of no use to the sidecar, which takes it for none as well. */
async function signatureBeside(path: string): Promise<string | undefined> {
  const beside = await open(`${path}${signatureExtension}`, withoutWaiting).catch(() => undefined);
  if (beside === undefined) return undefined;
  try {
    if (!(await beside.stat()).isFile()) return undefined;
    const { buffer, bytesRead } = await beside.read(Buffer.alloc(maxSignatureBytes));
    const text = buffer.toString("latin1", 0, bytesRead).trim();
    return /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? text : undefined;
  } finally {
    await beside.close();
  }
}

/** The text of a file that an option names. */
export async function textIn(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: unknown) => {
    throw misuse(`${path} cannot be read (${codeOf(error) ?? String(error)})`);
  });
}

function pathOf(reference: string): string {
  try {
    return reference.startsWith("file://") ? fileURLToPath(reference) : reference.slice("file:".length);
  } catch (cause) {
    throw new CommandError(exitCodes.usage, "expected a file on this host, such as file:///srv/orders.wasm", { cause });
  }
}

async function openFile(path: string): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path, withoutWaiting);
  } catch (error) {
    const code = codeOf(error) ?? String(error);
    const why = code === "ENOENT" ? `there is no file '${path}'` : `${path} cannot be read (${code})`;
    throw misuse(`${why}; expected a module, or a reference such as https://… or oci://host/name:tag`);
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw misuse(`${path} is not a regular file; expected a module, or - for standard input`);
}

async function headOf(file: FileHandle): Promise<Uint8Array> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(headBytes), 0, headBytes, 0);
  return buffer.subarray(0, bytesRead);
}

function counted(source: Readable, total: number | undefined, sent: UploadSource["sent"]): Readable {
  let count = 0;
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      count += chunk.length;
      if (count > maxModuleBytes) {
        done(new CommandError(exitCodes.refused, `the module has more than ${maxModuleBytes} bytes, and must not`));
        return;
      }
      sent(count, total);
      done(undefined, chunk);
    },
  });
  source.once("error", (error) => stream.destroy(error));
  return source.pipe(stream);
}
