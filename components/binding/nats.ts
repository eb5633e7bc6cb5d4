import { z } from "zod";
import { type NatsConnection, type NatsHeaders, openNats } from "../clients/nats.ts";
import { natsSettings } from "../clients/nats-settings.ts";
import { type CallContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import {
  type Binding,
  type BindingResponse,
  type DeliverBindingEvent,
  defineBinding,
  type InvokeBinding,
} from "./binding.ts";
import { NatsListener } from "./nats-listener.ts";

const token = String.raw`[^\s.*>]+`;
const subject = z
  .string()
  .regex(new RegExp(`^${token}(\\.${token})*$`), "expected a subject without wildcards")
  .max(1_000);
const pattern = z
  .string()
  .regex(
    new RegExp(String.raw`^(?:(?:${token}|\*)\.)*(?:${token}|\*|>)$`),
    "expected a subject, which may have wildcards",
  )
  .max(1_000);

const settings = natsSettings.extend({
  subject: subject.optional().describe("Where the operations create and request send; without it there are none"),
  listen: pattern
    .optional()
    .describe("Subject whose messages come in, wildcards * and > included; without it none come in"),
  queue: z
    .string()
    .regex(/^[\w-]+$/, "expected letters, digits, _ and -")
    .optional()
    .describe("Sidecars that listen with the same queue share the messages; without it each gets all of them"),
  concurrency: z
    .int()
    .positive()
    .max(1_000)
    .default(64)
    .describe("Most messages that are worked on at a time; default 64"),
  maxPending: z
    .int()
    .positive()
    .default(10_000)
    .describe("Most messages that wait here; default 10000. What comes over it is lost, as core NATS has it"),
  maxPendingBytes: z
    .int()
    .positive()
    .default(64 * 1024 ** 2)
    .describe("Most bytes of those; default 64 MiB"),
});

/** Messages of core NATS: out by `create`, or by `request`, which waits for an answer, and in by a subscription. */
export const natsBinding = defineBinding({
  type: "nats",
  capabilities: ["input", "output"],
  config: settings,
  capabilitiesWith: ({ subject, listen }) => [
    ...(listen === undefined ? [] : (["input"] as const)),
    ...(subject === undefined ? [] : (["output"] as const)),
  ],
  open: async (given, context) => {
    if (given.subject === undefined && given.listen === undefined) {
      const message = `binding '${context.name}' has neither subject nor listen, so that it leads nowhere; give one of them`;
      throw new RuntimeError("INVALID_ARGUMENT", "BINDING_LEADS_NOWHERE", message);
    }
    return new NatsBinding(await openNats(given, context), given);
  },
});

class NatsBinding implements Binding {
  readonly operations: readonly string[];
  readonly listen?: NonNullable<Binding["listen"]>;
  readonly #connection: NatsConnection;
  readonly #settings: z.output<typeof settings>;
  readonly #listeners = new Set<NatsListener>();

  constructor(connection: NatsConnection, given: z.output<typeof settings>) {
    this.#connection = connection;
    this.#settings = given;
    this.operations = given.subject === undefined ? [] : ["create", "request"];
    if (given.listen !== undefined) this.listen = (deliver) => this.#listen(deliver, given.listen ?? "");
  }

  async invoke({ operation, data, metadata }: InvokeBinding, call: CallContext): Promise<BindingResponse> {
    throwIfAborted(call);
    const { subject = "", requestTimeoutMs } = this.#settings;
    const headers = this.#headersOf(metadata);
    this.#connection.checkSize(`the message to '${subject}'`, data.byteLength + headerBytesOf(metadata));
    if (operation === "request") {
      const timeoutMs = Math.min(
        requestTimeoutMs,
        Math.max(1, (call.deadlineMs ?? Number.POSITIVE_INFINITY) - Date.now()),
      );
      const answer = await this.#connection.request(subject, data, headers, timeoutMs);
      return { data: new Uint8Array(answer.data), metadata: metadataOf(answer.headers) };
    }
    if (!this.#connection.publish(subject, data, { headers })) throw this.#connection.unreachable();
    await this.#connection.flush();
    return { data: new Uint8Array(0), metadata: {} };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#listeners].map((listener) => listener[Symbol.asyncDispose]()));
    await this.#connection[Symbol.asyncDispose]();
  }

  async #listen(deliver: DeliverBindingEvent, pattern: string): Promise<AsyncDisposable> {
    const { queue, concurrency, maxPending, maxPendingBytes } = this.#settings;
    const listener = new NatsListener(this.#connection, {
      concurrency,
      maxPending,
      maxPendingBytes,
      deliver: (message, signal) => {
        const data = new Uint8Array(message.data);
        return deliver({ data, metadata: { ...metadataOf(message.headers), subject: message.subject } }, signal);
      },
    });
    this.#listeners.add(listener);
    const end = async (): Promise<void> => {
      this.#listeners.delete(listener);
      await listener[Symbol.asyncDispose]();
    };
    try {
      await listener.begin(pattern, queue);
    } catch (error) {
      await end();
      throw error;
    }
    return { [Symbol.asyncDispose]: end };
  }

  /** The metadata as headers. Those of NATS itself are none of the application's business: they may change a stream. */
  #headersOf(metadata: Readonly<Record<string, string>>): NatsHeaders {
    for (const [name, value] of Object.entries(metadata)) {
      if (/^[\w-]+$/.test(name) && !/^(nats|kv)-/i.test(name) && /^[ -~]*$/.test(value)) continue;
      const message = `binding '${this.#connection.name}' cannot send the metadata '${name}' as a header; give a name of letters, digits, _ and - that does not begin with Nats-, and a value in ASCII`;
      throw new RuntimeError("INVALID_ARGUMENT", "BINDING_METADATA_INVALID", message);
    }
    return this.#connection.headers(metadata);
  }
}

const headerBytesOf = (metadata: Readonly<Record<string, string>>): number =>
  Object.entries(metadata).reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);

/** The headers as metadata, the first of each name. */
function metadataOf(headers: NatsHeaders | undefined): Record<string, string> {
  return Object.fromEntries([...(headers ?? [])].map(([name, [value = ""]]) => [name, value]));
}
