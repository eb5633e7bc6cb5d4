import { RuntimeError } from "../../components/error.ts";
import type { HttpApi, Metadata, UniformApi } from "../plugin/uniform-api.ts";
import { type CallingPlugin, GuestCalls } from "./guest-calls.ts";
import { guestState } from "./guest-state.ts";
import { type InvokeVerb, invokeVerbs } from "./invoke.ts";
import type { Blocks } from "./layotto/runtime-service.ts";

/** The building blocks as one plugin reaches them, without messages in between. */
export function guestApi(plugin: CallingPlugin, blocks: Blocks, http: HttpApi): UniformApi {
  const calls = new GuestCalls(plugin);
  const { pubsub, config, lock, sequencer, secret, file, binding, invoke } = blocks;
  return {
    granted: (kind) => plugin.grants[kind],
    refused: (kind, name) => calls.refused(kind, name),
    state: guestState(calls, blocks.state),
    http,

    pubsub: {
      publish: ({ isRaw, data, ...event }, signal) =>
        calls.run("pubsub", event.pubsub, signal, (call) => {
          const metadata = isRaw ? { ...event.metadata, rawPayload: "true" } : event.metadata;
          return pubsub.publish({ ...event, data: copyOf(data), metadata }, call);
        }),
    },

    config: {
      get: (store, selector, signal) =>
        calls.run("config", store, signal, (call) => config.get({ store, appId: "", ...selector }, call)),
    },

    lock: {
      tryLock: (store, resource, owner, seconds, signal) =>
        calls.run("lock", store, signal, (call) =>
          lock.tryLock({ store, resource, owner, expireSeconds: seconds }, call),
        ),
      unlock: (store, resource, owner, signal) =>
        calls.run("lock", store, signal, (call) => lock.unlock({ store, resource, owner }, call)),
      keepAlive: (store, resource, owner, seconds, signal) =>
        calls.run("lock", store, signal, (call) =>
          lock.keepAlive({ store, resource, owner, expireSeconds: seconds }, call),
        ),
    },

    sequencer: {
      next: (store, key, isStrong, signal) =>
        calls.run("sequencer", store, signal, (call) =>
          sequencer.next({ store, key, increment: isStrong ? "strong" : "weak" }, call),
        ),
    },

    secret: {
      get: (store, name, signal) => calls.run("secret", store, signal, (call) => secret.get({ store, name }, call)),
    },

    binding: {
      invoke: ({ name, operation, data, metadata }, signal) =>
        calls.run("binding", name, signal, (call) =>
          binding.invoke({ binding: name, operation, data: copyOf(data), metadata }, call),
        ),
    },

    object: {
      get: (store, name, signal) =>
        calls.run("object", store, signal, async (call) => calls.read(await file.get({ store, name }, call), call)),
      put: (store, name, data, signal) =>
        calls.run("object", store, signal, (call) => file.put({ store, name, data, metadata: {} }, call)),
      delete: (store, name, signal) => calls.run("object", store, signal, (call) => file.delete({ store, name }, call)),
      list: (store, page, signal) => calls.run("object", store, signal, (call) => file.list({ store, ...page }, call)),
      stat: (store, name, signal) => calls.run("object", store, signal, (call) => file.stat({ store, name }, call)),
    },

    invoke: {
      invoke: (request, signal) =>
        calls.run("invoke", request.id, signal, (call) =>
          invoke.invoke(
            {
              ...request,
              verb: verbOf(request.verb),
              data: copyOf(request.data),
              metadata: fieldsOf(request.metadata),
            },
            call,
          ),
        ),
    },
  };
}

/** The bytes may be of a guest's memory, which goes on changing. */
const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);

const fieldsOf = (metadata: Metadata): [name: string, value: string][] =>
  Object.entries(metadata).map(([name, value]) => [name.toLowerCase(), value]);

function verbOf(verb: string): InvokeVerb | undefined {
  if (verb === "") return undefined;
  const known = invokeVerbs.find((one) => one === verb);
  if (known !== undefined) return known;
  const message = `the HTTP verb '${verb}' cannot be used to invoke; there are ${invokeVerbs.join(", ")}`;
  throw new RuntimeError("INVALID_ARGUMENT", "VERB_INVALID", message);
}
