import { Empty } from "../../proto/gen/google/protobuf/empty.ts";
import * as api from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { GrpcReply } from "../../runtime/plugin/outside-calls.ts";
import { grpcReply, TestServices } from "../support/proxy-wasm-host.ts";

/** How the generated TypeScript reads and writes a message. */
export interface Codec<Message> {
  encode(message: Message): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Message;
}

/** Why a method fails, as a gRPC status. */
class Refusal extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

const method =
  <Request, Answer>(request: Codec<Request>, answer: Codec<Answer>, handle: (request: Request) => Answer) =>
  (bytes: Uint8Array): Uint8Array =>
    answer.encode(handle(request.decode(bytes))).finish();

function replyOf(call: () => Uint8Array): GrpcReply {
  try {
    return { ...grpcReply({}), message: call() };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return grpcReply({ code: error.code, details: error.message });
  }
}

/** The methods of the runtime that the guest library speaks, over maps: what a guest sends and gets is what counts here. */
export class SmallRuntime {
  readonly published: api.PublishEventRequest[] = [];
  /** How many of the next writes find that somebody else was faster. */
  conflicts = 0;
  readonly #stores = new Map<string, Map<string, { value: Uint8Array; etag: string }>>();
  readonly #locks = new Map<string, string>();
  readonly #settings = new Map<string, string>();
  readonly #methods: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>>;
  #writes = 0;
  #lastId = 0n;

  constructor(stores: readonly string[]) {
    for (const store of stores) this.#stores.set(store, new Map());
    this.#methods = this.#define();
  }

  /** Services of a host whose runtime this is. */
  services(): TestServices {
    const services = new TestServices();
    for (const [name, call] of Object.entries(this.#methods)) {
      services.methods.set(`/spec.proto.runtime.v1.Runtime/${name}`, async ({ message }) =>
        replyOf(() => call(message)),
      );
    }
    return services;
  }

  #store(name: string): Map<string, { value: Uint8Array; etag: string }> {
    const store = this.#stores.get(name);
    if (store === undefined) throw new Refusal(3, `state store '${name}' is not configured`);
    return store;
  }

  #write(storeName: string, item: api.StateItem): void {
    const store = this.#store(storeName);
    const current = store.get(item.key);
    const firstOnly = item.options?.concurrency === api.StateOptions_StateConcurrency.CONCURRENCY_FIRST_WRITE;
    const stale = item.etag === undefined ? firstOnly && current !== undefined : item.etag.value !== current?.etag;
    if (stale || this.conflicts-- > 0) throw new Refusal(10, `the etag of '${item.key}' does not match`);
    store.set(item.key, { value: item.value, etag: String(++this.#writes) });
  }

  #lockStatus(resource: string, owner: string): 0 | 1 | 2 {
    const holder = this.#locks.get(resource);
    if (holder === undefined) return 1;
    return holder === owner ? 0 : 2;
  }

  #define(): Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> {
    const nothing: Empty = {};
    return {
      SayHello: method(api.SayHelloRequest, api.SayHelloResponse, ({ name, data }) => ({
        hello: `hello ${name}`,
        data,
      })),
      GetState: method(api.GetStateRequest, api.GetStateResponse, ({ storeName, key }) => {
        const entry = this.#store(storeName).get(key);
        return { data: entry?.value ?? new Uint8Array(), etag: entry?.etag ?? "", metadata: {} };
      }),
      GetBulkState: method(api.GetBulkStateRequest, api.GetBulkStateResponse, ({ storeName, keys }) => ({
        items: keys.map((key) => {
          const entry = this.#store(storeName).get(key);
          return { key, data: entry?.value ?? new Uint8Array(), etag: entry?.etag ?? "", error: "", metadata: {} };
        }),
      })),
      SaveState: method(api.SaveStateRequest, Empty, ({ storeName, states }) => {
        for (const item of states) this.#write(storeName, item);
        return nothing;
      }),
      DeleteState: method(api.DeleteStateRequest, Empty, ({ storeName, key }) => {
        this.#store(storeName).delete(key);
        return nothing;
      }),
      DeleteBulkState: method(api.DeleteBulkStateRequest, Empty, ({ storeName, states }) => {
        for (const { key } of states) this.#store(storeName).delete(key);
        return nothing;
      }),
      ExecuteStateTransaction: method(api.ExecuteStateTransactionRequest, Empty, ({ storeName, operations }) => {
        for (const { operationType, request } of operations) {
          if (request === undefined) throw new Refusal(3, "an operation has no request");
          if (operationType === "upsert") this.#write(storeName, request);
          else this.#store(storeName).delete(request.key);
        }
        return nothing;
      }),
      PublishEvent: method(api.PublishEventRequest, Empty, (event) => {
        this.published.push(event);
        return nothing;
      }),
      TryLock: method(api.TryLockRequest, api.TryLockResponse, ({ resourceId, lockOwner }) => {
        const success = !this.#locks.has(resourceId);
        if (success) this.#locks.set(resourceId, lockOwner);
        return { success };
      }),
      Unlock: method(api.UnlockRequest, api.UnlockResponse, ({ resourceId, lockOwner }) => {
        const status = this.#lockStatus(resourceId, lockOwner);
        if (status === 0) this.#locks.delete(resourceId);
        return { status };
      }),
      LockKeepAlive: method(api.LockKeepAliveRequest, api.LockKeepAliveResponse, ({ resourceId, lockOwner }) => ({
        status: this.#lockStatus(resourceId, lockOwner),
      })),
      GetNextId: method(api.GetNextIdRequest, api.GetNextIdResponse, () => ({ nextId: ++this.#lastId })),
      SaveConfiguration: method(api.SaveConfigurationRequest, Empty, ({ items }) => {
        for (const { key, content } of items) this.#settings.set(key, content);
        return nothing;
      }),
      GetConfiguration: method(api.GetConfigurationRequest, api.GetConfigurationResponse, ({ keys }) => ({
        items: keys.flatMap((key) => {
          const content = this.#settings.get(key);
          return content === undefined ? [] : [{ key, content, group: "", label: "", tags: {}, metadata: {} }];
        }),
      })),
      DeleteConfiguration: method(api.DeleteConfigurationRequest, Empty, ({ keys }) => {
        for (const key of keys) this.#settings.delete(key);
        return nothing;
      }),
      InvokeService: method(api.InvokeServiceRequest, api.InvokeResponse, ({ id, message }) => {
        const extension = message?.httpExtension;
        const seen = [
          id,
          message?.method,
          extension?.verb,
          extension?.querystring,
          Buffer.from(message?.data?.value ?? []),
        ];
        const value = Buffer.from(seen.join(" "));
        return { data: { typeUrl: "", value }, contentType: message?.contentType ?? "" };
      }),
    };
  }
}
