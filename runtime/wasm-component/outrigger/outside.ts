/** Imports for what lies outside: other services, secrets, and systems behind bindings. */

import { payForBytes, payForResult } from "../charge.ts";
import type { ImportedInterface } from "../provider.ts";
import { metadataOf, type Pairs, pairsOf, sizeOfPairs } from "./pairs.ts";
import { outriggerVersions } from "./version.ts";
import { throwWit } from "./wit-error.ts";

interface Call {
  readonly id: string;
  readonly method: string;
  readonly verb: string;
  readonly query: string;
  readonly contentType: string;
  readonly data: Uint8Array;
  readonly metadata: Pairs;
}

export const invokeInterface: ImportedInterface = {
  name: "outrigger:runtime/invoke",
  versions: outriggerVersions,
  waiting: ["invoke"],
  make: (host) => ({
    async invoke({ query, metadata, ...call }: Call) {
      payForBytes(host, call.method.length + query.length + call.data.length + sizeOfPairs(metadata));
      const invocation = { ...call, querystring: query, metadata: metadataOf(metadata) };
      const reply = await host.services.api.invoke.invoke(invocation, host.signal).catch(throwWit);
      payForResult(host, reply.data.length);
      return reply;
    },
  }),
};

export const secretsInterface: ImportedInterface = {
  name: "outrigger:runtime/secrets",
  versions: outriggerVersions,
  waiting: ["get"],
  make: (host) => ({
    async get(store: string, name: string) {
      payForBytes(host, name.length);
      const values = pairsOf(await host.services.api.secret.get(store, name, host.signal).catch(throwWit));
      payForResult(host, sizeOfPairs(values));
      return values;
    },
  }),
};

export const bindingInterface: ImportedInterface = {
  name: "outrigger:runtime/binding",
  versions: outriggerVersions,
  waiting: ["invoke"],
  make: (host) => ({
    async invoke(name: string, operation: string, data: Uint8Array, metadata: Pairs) {
      payForBytes(host, operation.length + data.length + sizeOfPairs(metadata));
      const request = { name, operation, data, metadata: metadataOf(metadata) };
      const reply = await host.services.api.binding.invoke(request, host.signal).catch(throwWit);
      const answered = pairsOf(reply.metadata);
      payForResult(host, reply.data.length + sizeOfPairs(answered));
      return { data: reply.data, metadata: answered };
    },
  }),
};
