import { RuntimeError } from "../../../components/error.ts";
import type { ObjectMeta } from "../../../components/object/object-store.ts";
import type {
  FileRequest as FileMessage,
  PutFileRequest,
  RuntimeService,
} from "../../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { HandlersOf } from "../../grpc/service.ts";
import type { FileBlock, FileRequest } from "../file.ts";

/**
 * The file methods of Layotto's service. The first request of PutFile names the store and the file; those that follow hold
 * data, and may repeat the names. ListFile takes the beginning of names as the name. Times are in ISO 8601.
 */
export function fileMethods(files: FileBlock) {
  return {
    async getFile({ storeName, name }, { call, write }) {
      for await (const data of await files.get({ store: storeName, name }, call)) await write({ data });
    },
    async putFile(requests, call) {
      const incoming = requests[Symbol.asyncIterator]();
      const first = (await incoming.next()).value;
      if (first === undefined) throw unnamed();
      const { storeName, name, metadata } = first;
      await files.put({ store: storeName, name, metadata, data: dataOf(first, incoming) }, call);
      return {};
    },
    async listFile({ request, pageSize, marker }, call) {
      const { store, name } = fileOf(request);
      const page = await files.list({ store, prefix: name, pageSize, marker }, call);
      return { files: page.objects.map(infoOf), marker: page.marker, isTruncated: page.marker !== "" };
    },
    async delFile({ request }, call) {
      await files.delete(fileOf(request), call);
      return {};
    },
    async getFileMeta({ request }, call) {
      const { size, modifiedAtMs, metadata } = await files.stat(fileOf(request), call);
      const values = Object.entries(metadata).map(([key, value]) => [key, { value: [value] }]);
      const response = { metadata: Object.fromEntries(values) };
      return { size: BigInt(size), lastModified: timeOf(modifiedAtMs), response };
    },
  } satisfies HandlersOf<RuntimeService>;
}

/** The data of the first request, and of those that follow until the client half-closes. */
async function* dataOf(
  first: PutFileRequest,
  following: AsyncIterator<PutFileRequest>,
): AsyncGenerator<Uint8Array, void> {
  if (first.data.length > 0) yield first.data;
  for (let next = await following.next(); next.done !== true; next = await following.next()) {
    const { storeName, name, data } = next.value;
    if ((storeName !== "" && storeName !== first.storeName) || (name !== "" && name !== first.name)) {
      const message = `the stream writes the file '${first.name}', and a later request names '${name}' in '${storeName}'; each file has a stream of its own`;
      throw new RuntimeError("INVALID_ARGUMENT", "FILE_CHANGED", message);
    }
    if (data.length > 0) yield data;
  }
}

function fileOf(request: FileMessage | undefined): FileRequest {
  if (request === undefined) throw unnamed();
  return { store: request.storeName, name: request.name };
}

function unnamed(): RuntimeError {
  return new RuntimeError("INVALID_ARGUMENT", "FILE_MISSING", "nothing says which file of which store is meant");
}

function infoOf({ name, size, modifiedAtMs, metadata }: ObjectMeta) {
  return { fileName: name, size: BigInt(size), lastModified: timeOf(modifiedAtMs), metadata: { ...metadata } };
}

const timeOf = (ms: number): string => new Date(ms).toISOString();
