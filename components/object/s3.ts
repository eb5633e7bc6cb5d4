import { openS3, type S3Connection } from "../clients/s3.ts";
import { s3Settings } from "../clients/s3-settings.ts";
import type { CallContext } from "../component.ts";
import { RuntimeError } from "../error.ts";
import {
  defineObjectStore,
  type ListObjects,
  type ObjectMeta,
  type ObjectPage,
  type ObjectStore,
  type PutObject,
} from "./object-store.ts";
import { isReadable, S3Chunks } from "./s3-chunks.ts";
import { packMetadata, unpackMetadata } from "./s3-metadata.ts";
import { upload } from "./s3-upload.ts";

const longestKeyBytes = 1024;

interface Named {
  readonly name: string;
}

/** Files in a bucket of S3, or of a server that speaks like it. */
export const s3ObjectStore = defineObjectStore({
  type: "s3",
  capabilities: ["metadata"],
  config: s3Settings,
  open: async (settings, context) => new S3ObjectStore(await openS3(settings, context)),
});

class S3ObjectStore implements ObjectStore {
  readonly #connection: S3Connection;
  #puts = 0;

  constructor(connection: S3Connection) {
    this.#connection = connection;
  }

  async get({ name }: Named, call: CallContext): Promise<AsyncIterable<Uint8Array> | undefined> {
    const command = new this.#connection.aws.GetObjectCommand(this.#objectOf(name));
    const found = await this.#connection.find((client, options) => client.send(command, options), call);
    return isReadable(found?.Body) ? new S3Chunks(found.Body, this.#connection, call) : undefined;
  }

  async put({ name, data, metadata }: PutObject, call: CallContext): Promise<void> {
    call.signal.throwIfAborted();
    const { Key: key } = this.#objectOf(name);
    const { maxPuts } = this.#connection.settings;
    if (this.#puts >= maxPuts) {
      const message = `file store '${this.#connection.name}' is taking ${maxPuts} files already; try again later or raise maxPuts`;
      throw new RuntimeError("RESOURCE_EXHAUSTED", "TOO_MANY_PUTS", message);
    }
    this.#puts++;
    try {
      await upload(this.#connection, { key, data, metadata: packMetadata(metadata) }, call);
    } finally {
      this.#puts--;
    }
  }

  async delete({ name }: Named, call: CallContext): Promise<void> {
    const command = new this.#connection.aws.DeleteObjectCommand(this.#objectOf(name));
    await this.#connection.find((client, options) => client.send(command, options), call);
  }

  async list({ prefix, pageSize, marker }: ListObjects, call: CallContext): Promise<ObjectPage> {
    const { aws, settings } = this.#connection;
    const command = new aws.ListObjectsV2Command({
      Bucket: settings.bucket,
      Prefix: settings.prefix + prefix,
      MaxKeys: pageSize,
      // XML has no way to write every name.
      EncodingType: "url",
      ...(marker === "" ? {} : { StartAfter: settings.prefix + marker }),
    });
    const answer = await this.#connection.request((client, options) => client.send(command, options), call);
    const objects = (answer.Contents ?? []).flatMap(({ Key, Size, LastModified, ETag }) =>
      Key === undefined
        ? []
        : [metaOf(decoded(Key).slice(settings.prefix.length), { size: Size, modifiedAt: LastModified, etag: ETag })],
    );
    return { objects, marker: answer.IsTruncated === true ? (objects.at(-1)?.name ?? "") : "" };
  }

  async stat({ name }: Named, call: CallContext): Promise<ObjectMeta | undefined> {
    const command = new this.#connection.aws.HeadObjectCommand(this.#objectOf(name));
    const found = await this.#connection.find((client, options) => client.send(command, options), call);
    if (found === undefined) return undefined;
    const { ContentLength, LastModified, ETag, Metadata = {} } = found;
    return metaOf(name, { size: ContentLength, modifiedAt: LastModified, etag: ETag, metadata: Metadata });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  #objectOf(name: string): { readonly Bucket: string; readonly Key: string } {
    const { settings, name: store } = this.#connection;
    const key = settings.prefix + name;
    const wrong =
      wrongIn(name) ?? (Buffer.byteLength(key) > longestKeyBytes ? "is too long for a key of S3" : undefined);
    if (wrong === undefined) return { Bucket: settings.bucket, Key: key };
    const message = `the name '${name.slice(0, 100)}' ${wrong}; file store '${store}' takes names of at most ${longestKeyBytes} bytes without '.' or '..' between slashes`;
    throw new RuntimeError("INVALID_ARGUMENT", "NAME_INVALID", message);
  }
}

/** What a server or a proxy before it may take for a path, or not at all. */
function wrongIn(name: string): string | undefined {
  if (name === "") return "is empty";
  if (name.startsWith("/")) return "begins with a slash";
  if (name.split("/").some((part) => part === "." || part === "..")) return "has a part that is '.' or '..'";
  return /\0/.test(name) ? "has a NUL" : undefined;
}

interface Known {
  readonly size: number | undefined;
  readonly modifiedAt: Date | undefined;
  readonly etag: string | undefined;
  readonly metadata?: Readonly<Record<string, string>>;
}

const metaOf = (name: string, { size = 0, modifiedAt, etag, metadata = {} }: Known): ObjectMeta => ({
  name,
  size,
  modifiedAtMs: modifiedAt?.getTime() ?? 0,
  metadata: { ...(etag === undefined ? {} : { etag }), ...unpackMetadata(metadata) },
});

/** The form of names that EncodingType asks for. */
const decoded = (key: string): string => decodeURIComponent(key.replaceAll("+", " "));
