import { z } from "zod";
import { RuntimeError } from "../error.ts";
import type { NatsConnection, NatsHeaders } from "./nats.ts";
import { JetStreamError, jetStreamCodes } from "./nats-failure.ts";

const refusal = z.object({
  error: z.object({ code: z.number(), err_code: z.number().optional(), description: z.string().optional() }),
});
const published = z.object({ seq: z.int() });
const streamInfo = z.object({
  /** When it was made, which tells it from another of its name. */
  created: z.string(),
  config: z.object({
    subjects: z.array(z.string()).default([]),
    retention: z.string(),
    max_bytes: z.number(),
    max_age: z.number(),
    max_msgs_per_subject: z.number().default(-1),
    discard: z.string(),
    storage: z.string(),
    num_replicas: z.number(),
    deny_delete: z.boolean().default(false),
    allow_direct: z.boolean().default(false),
  }),
});

/** What the server says of a stream. */
export type StreamInfo = z.output<typeof streamInfo>;

/** The configuration of a stream, in the server's words; times are nanoseconds. */
export type StreamConfig = { readonly name: string } & Partial<StreamInfo["config"]> &
  Readonly<Record<string, unknown>>;

/**
 * JetStream's own interface, which is JSON over requests. The client's classes for it are not used: they cannot set headers
 * of an entry, wait out their time when the connection is lost, and narrow what a key may be. Decision 0010.
 */
export class JetStream {
  readonly connection: NatsConnection;

  constructor(connection: NatsConnection) {
    this.connection = connection;
  }

  /** The subject of a method of the interface. */
  subjectOf(method: string): string {
    return `$JS.API.${method}`;
  }

  /** Asks the interface and checks the answer against the schema; rejects with JetStreamError when it refuses. */
  async api<T>(method: string, request: object | undefined, answer: z.ZodType<T>): Promise<T> {
    const body = request === undefined ? "" : JSON.stringify(request);
    const { data } = await this.connection.request(this.subjectOf(method), body).catch(this.#silent);
    const parsed = this.#parsed(data);
    const found = answer.safeParse(parsed);
    if (found.success) return found.data;
    const message = `the NATS of '${this.connection.name}' answered ${method.split(".", 2).join(".")} in a way that is not understood`;
    throw new RuntimeError("INTERNAL", "NATS_FAILED", message, { cause: found.error });
  }

  /** Publishes to a stream and resolves to the message's number there once the stream has it. */
  async publish(subject: string, data: Uint8Array | string, headers?: NatsHeaders): Promise<number> {
    const answer = await this.connection.request(subject, data, headers).catch(this.#silent);
    return published.parse(this.#parsed(answer.data)).seq;
  }

  /** Makes the stream unless there is one of its name; that is left as it is. */
  async ensureStream(config: StreamConfig): Promise<StreamInfo> {
    try {
      return await this.api(`STREAM.INFO.${config.name}`, undefined, streamInfo);
    } catch (error) {
      if (!isRefusal(error, jetStreamCodes.streamNotFound)) throw error;
    }
    try {
      return await this.api(`STREAM.CREATE.${config.name}`, config, streamInfo);
    } catch (error) {
      // Another was quicker.
      if (!isRefusal(error, jetStreamCodes.streamNameInUse)) throw error;
      return this.api(`STREAM.INFO.${config.name}`, undefined, streamInfo);
    }
  }

  #parsed(data: Uint8Array): unknown {
    const parsed: unknown = JSON.parse(new TextDecoder().decode(data));
    const refused = refusal.safeParse(parsed);
    if (refused.success) throw new JetStreamError(this.connection.name, refused.data.error);
    return parsed;
  }

  /** Nobody answers where JetStream would. */
  readonly #silent = (error: unknown): never => {
    if (!(error instanceof RuntimeError) || error.reason !== "NATS_NO_RESPONDERS") throw error;
    const message = `the NATS of '${this.connection.name}' answers no request of JetStream; it is starting, the stream is gone, or JetStream is not enabled there`;
    throw new RuntimeError("UNAVAILABLE", "NATS_NO_JETSTREAM", message);
  };
}

export const isRefusal = (error: unknown, code: number): boolean =>
  error instanceof JetStreamError && error.errorCode === code;

export const nanoseconds = (ms: number): number => ms * 1_000_000;
