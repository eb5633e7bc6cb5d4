/** wasi:blobstore on file stores. */
import { boundClass } from "../bound-class.ts";
import { payForStream } from "../charge.ts";
import type { GuestHost, ImportedInterface } from "../provider.ts";
import { Container, StreamObjectNames } from "./blob-container.ts";
import { throwBlobError } from "./blob-error.ts";
import { IncomingValue } from "./blob-incoming.ts";
import { OutgoingValue } from "./blob-outgoing.ts";
import { BlobPlace } from "./blob-place.ts";

const versions = ["0.2.0-draft"];

const types: ImportedInterface = {
  name: "wasi:blobstore/types",
  versions,
  waiting: ["[static]outgoing-value.finish", "[static]incoming-value.incoming-value-consume-sync"],
  make: (host) => ({
    IncomingValue,
    OutgoingValue: boundClass(OutgoingValue, () => new OutgoingValue(host), {
      newOutgoingValue: () => new OutgoingValue(host),
      finish: OutgoingValue.finish,
    }),
  }),
};

const container: ImportedInterface = {
  name: "wasi:blobstore/container",
  versions,
  waiting: [
    "[method]container.info",
    "[method]container.get-data",
    "[method]container.delete-object",
    "[method]container.delete-objects",
    "[method]container.has-object",
    "[method]container.object-info",
    "[method]container.clear",
    "[method]stream-object-names.read-stream-object-names",
    "[method]stream-object-names.skip-stream-object-names",
  ],
  make: () => ({ Container, StreamObjectNames }),
};

interface ObjectId {
  readonly container: string;
  readonly object: string;
}

const blobstore: ImportedInterface = {
  name: "wasi:blobstore/blobstore",
  versions,
  waiting: ["create-container", "get-container", "delete-container", "container-exists", "copy-object", "move-object"],
  make: (host) => ({
    async createContainer(name: string) {
      const place = new BlobPlace(host, name);
      if ((await place.createdAt()) !== undefined) throw `there is a container '${name}' already`;
      await place.create();
      return new Container(place);
    },

    async getContainer(name: string) {
      return new Container(await existing(host, name));
    },

    async deleteContainer(name: string) {
      const place = new BlobPlace(host, name);
      if (place.isStore) throw `container '${name}' is a file store of the sidecar, which cannot be deleted; clear it`;
      await place.clear("container");
    },

    async containerExists(name: string) {
      return (await new BlobPlace(host, name).createdAt()) !== undefined;
    },

    async copyObject(from: ObjectId, to: ObjectId) {
      await copy(host, from, to);
    },

    async moveObject(from: ObjectId, to: ObjectId) {
      const source = await copy(host, from, to);
      if (from.container !== to.container || from.object !== to.object) await source.delete(from.object);
    },
  }),
};

async function existing(host: GuestHost, name: string): Promise<BlobPlace> {
  const place = new BlobPlace(host, name);
  if ((await place.createdAt()) === undefined) throw `there is no container '${name}'; create it first`;
  return place;
}

/** Resolves to where the object was. */
async function copy(host: GuestHost, from: ObjectId, to: ObjectId): Promise<BlobPlace> {
  const source = await existing(host, from.container);
  const target = await existing(host, to.container);
  const { size } = await source.stat(from.object);
  payForStream(host, size);
  const { object } = host.services.api;
  const data = await object.get(source.store, source.fileOf(from.object), host.signal).catch(throwBlobError);
  await object.put(target.store, target.fileOf(to.object), data, host.signal).catch(throwBlobError);
  return source;
}

export const blobstoreInterfaces: readonly ImportedInterface[] = [types, container, blobstore];
