import type { S3Connection, S3Request } from "../clients/s3.ts";
import type { CallContext } from "../component.ts";
import { RuntimeError } from "../error.ts";

const firstBytes = 64 * 1024;
/** Longest time to tell the server that an upload will not be completed. */
const farewellMs = 5_000;
const largestPartNumber = 10_000;

export interface S3Upload {
  readonly key: string;
  readonly data: AsyncIterable<Uint8Array>;
  readonly metadata: Record<string, string>;
}

/** Puts an object: at once when it fits into a part, else part by part. What is not completed is taken back. */
export async function upload(
  connection: S3Connection,
  { key, data, metadata }: S3Upload,
  call: CallContext,
): Promise<void> {
  const { aws, settings, name } = connection;
  const { bucket, partBytes, maxFileBytes } = settings;
  const object = { Bucket: bucket, Key: key };
  const part = new Part(partBytes);
  const sent: { readonly ETag: string | undefined; readonly PartNumber: number }[] = [];
  let uploadId: string | undefined;
  let size = 0;

  const request = <Answer>(send: S3Request<Answer>): Promise<Answer> => connection.request(send, call);
  const sendPart = async (): Promise<void> => {
    const begin = new aws.CreateMultipartUploadCommand({ ...object, Metadata: metadata });
    uploadId ??= (await request((client, options) => client.send(begin, options))).UploadId;
    const PartNumber = sent.length + 1;
    if (PartNumber > largestPartNumber) throw tooLarge(name, largestPartNumber * partBytes);
    const command = new aws.UploadPartCommand({ ...object, UploadId: uploadId, PartNumber, Body: part.bytes });
    const { ETag } = await request((client, options) => client.send(command, options));
    sent.push({ ETag, PartNumber });
    part.clear();
  };

  try {
    for await (const chunk of data) {
      call.signal.throwIfAborted();
      size += chunk.length;
      if (size > maxFileBytes) throw tooLarge(name, maxFileBytes);
      for (let rest = chunk; rest.length > 0; rest = part.add(rest)) if (part.isFull) await sendPart();
    }
    call.signal.throwIfAborted();
    if (uploadId === undefined) {
      const put = new aws.PutObjectCommand({ ...object, Metadata: metadata, Body: part.bytes });
      await request((client, options) => client.send(put, options));
      return;
    }
    await sendPart();
    const MultipartUpload = { Parts: sent };
    const complete = new aws.CompleteMultipartUploadCommand({ ...object, UploadId: uploadId, MultipartUpload });
    await request((client, options) => client.send(complete, options));
  } catch (error) {
    if (uploadId !== undefined) {
      const abort = new aws.AbortMultipartUploadCommand({ ...object, UploadId: uploadId });
      const signal = AbortSignal.timeout(farewellMs);
      // A server that is not told, for it is away, keeps the parts until its own rules remove them.
      await connection.request((client, options) => client.send(abort, options), { signal }).catch(() => undefined);
    }
    throw error;
  }
}

/** Bytes that are sent together; memory grows with them. */
class Part {
  readonly #most: number;
  #buffer = Buffer.allocUnsafe(firstBytes);
  #length = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  get isFull(): boolean {
    return this.#length === this.#most;
  }

  /** Copies as much as there is room for, and returns the rest. */
  add(chunk: Uint8Array): Uint8Array {
    const taken = chunk.subarray(0, this.#most - this.#length);
    const length = this.#length + taken.length;
    if (length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.min(this.#most, Math.max(length, 2 * this.#buffer.length)));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    this.#buffer.set(taken, this.#length);
    this.#length = length;
    return chunk.subarray(taken.length);
  }

  clear(): void {
    this.#length = 0;
  }
}

function tooLarge(store: string, mostBytes: number): RuntimeError {
  const message = `file store '${store}' takes files of at most ${mostBytes} bytes; raise maxFileBytes or partBytes`;
  return new RuntimeError("RESOURCE_EXHAUSTED", "FILE_TOO_LARGE", message);
}
