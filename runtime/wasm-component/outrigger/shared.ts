/** Imports for what services share: topics, locks and numbers. */

import { payForBytes } from "../charge.ts";
import type { ImportedInterface } from "../provider.ts";
import { metadataOf, type Pairs, sizeOfPairs } from "./pairs.ts";
import { outriggerVersions } from "./version.ts";
import { throwWit } from "./wit-error.ts";

interface Message {
  readonly topic: string;
  readonly data: Uint8Array;
  readonly contentType: string;
  readonly metadata: Pairs;
  readonly raw: boolean;
}

export const pubsubInterface: ImportedInterface = {
  name: "outrigger:runtime/pubsub",
  versions: outriggerVersions,
  waiting: ["publish"],
  make: (host) => ({
    async publish(pubsub: string, { topic, data, contentType, metadata, raw }: Message) {
      payForBytes(host, topic.length + data.length + contentType.length + sizeOfPairs(metadata));
      const publication = { pubsub, topic, data, contentType, metadata: metadataOf(metadata), isRaw: raw };
      await host.services.api.pubsub.publish(publication, host.signal).catch(throwWit);
    },
  }),
};

export const lockInterface: ImportedInterface = {
  name: "outrigger:runtime/lock",
  versions: outriggerVersions,
  waiting: ["try-lock", "unlock", "keep-alive"],
  make(host) {
    const { lock } = host.services.api;
    return {
      async tryLock(store: string, name: string, owner: string, seconds: number) {
        payForBytes(host, name.length + owner.length);
        return lock.tryLock(store, name, owner, seconds, host.signal).catch(throwWit);
      },

      async unlock(store: string, name: string, owner: string) {
        payForBytes(host, name.length + owner.length);
        return lock.unlock(store, name, owner, host.signal).catch(throwWit);
      },

      async keepAlive(store: string, name: string, owner: string, seconds: number) {
        payForBytes(host, name.length + owner.length);
        return lock.keepAlive(store, name, owner, seconds, host.signal).catch(throwWit);
      },
    };
  },
};

export const sequencerInterface: ImportedInterface = {
  name: "outrigger:runtime/sequencer",
  versions: outriggerVersions,
  waiting: ["next"],
  make: (host) => ({
    async next(store: string, key: string, order: "weak" | "strong") {
      payForBytes(host, key.length);
      return host.services.api.sequencer.next(store, key, order === "strong", host.signal).catch(throwWit);
    },
  }),
};
