import { connect } from "node:net";
import type { BindingEvent } from "../../components/binding/binding.ts";
import { RuntimeError } from "../../components/error.ts";
import { codeOfHttpStatus } from "../../components/http-status.ts";
import type { BindingBlock } from "../api/binding.ts";
import { unlessAborted } from "../api/unless-aborted.ts";
import { parseHostPort } from "../listen.ts";
import type { HttpMessage } from "../plugin/outside-calls.ts";
import type { Log } from "../telemetry/log.ts";
import { Attendance, type Door, type Wish } from "./attendance.ts";
import { bindingWish } from "./binding-wish.ts";

/** An input binding, and the path of the application where its events are posted. */
export interface InputRoute {
  readonly binding: string;
  readonly path: string;
}

export interface HttpBindingsOptions {
  /** `host:port` where the application serves HTTP now; undefined while it is not configured. */
  readonly address: () => string | undefined;
  readonly routes: readonly InputRoute[];
  readonly bindings: BindingBlock;
  /** Whether the application is asked over gRPC too: then nothing begins before `leave` was called. */
  readonly waitsForGrpc: boolean;
  /** One request to the application; rejects with UNAVAILABLE when it is not there. */
  readonly request: (message: HttpMessage, signal: AbortSignal) => Promise<HttpMessage>;
  /** Longest wait for the answer to an event; then it is delivered again. Default a minute. */
  readonly eventTimeoutMs?: number;
  /** See `Attendance`. */
  readonly absenceMs?: number;
  readonly log: Log;
}

const connectMs = 2_000;
const quotedCharacters = 256;

/**
 * Posts the events of input bindings to the application's HTTP server, where 2xx means done. It begins when that listens and
 * pauses while it does not. Disposing ends it.
 */
export class HttpBindings implements AsyncDisposable {
  readonly #options: HttpBindingsOptions;
  #routes: readonly InputRoute[];
  readonly #attendance: Attendance;
  /** Those that the application takes over gRPC. */
  #taken: ReadonlySet<string> = new Set();
  readonly #takenKnown = Promise.withResolvers<void>();
  /** Resolved when the application has to be looked for again. */
  #gone = Promise.withResolvers<void>();

  constructor(options: HttpBindingsOptions) {
    this.#options = options;
    this.#routes = options.routes;
    if (!options.waitsForGrpc) this.#takenKnown.resolve();
    const { address, absenceMs, log } = options;
    const door: Door = {
      address: () => address() ?? "nowhere",
      wishes: (signal) => this.#wishes(signal),
      untilGone: (signal) => unlessAborted(this.#gone.promise, signal).catch(() => undefined),
    };
    this.#attendance = new Attendance({ door, absenceMs, log });
  }

  /** Leaves these bindings to gRPC, and takes the others. */
  leave(names: ReadonlySet<string>): void {
    this.#taken = names;
    this.#takenKnown.resolve();
    this.#gone.resolve();
  }

  /** Puts other routes in force. */
  update(routes: readonly InputRoute[]): void {
    this.#routes = routes;
    this.#gone.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#attendance[Symbol.asyncDispose]();
  }

  async #wishes(signal: AbortSignal): Promise<readonly Wish[]> {
    const { address, bindings } = this.#options;
    this.#gone = Promise.withResolvers();
    await unlessAborted(this.#takenKnown.promise, signal);
    const taken = this.#taken;
    const wanted = this.#routes.filter(({ binding }) => !taken.has(binding));
    if (wanted.length > 0) await connectOnce(requireAddress(address()), signal);
    return wanted.map(({ binding, path }) =>
      bindingWish("http", binding, bindings, (event, ends) => this.#deliver(path, event, ends)),
    );
  }

  async #deliver(path: string, event: BindingEvent, signal: AbortSignal): Promise<void> {
    const { address, request, eventTimeoutMs = 60_000 } = this.#options;
    const ends = AbortSignal.any([signal, AbortSignal.timeout(eventTimeoutMs)]);
    let answer: HttpMessage;
    try {
      answer = await request(messageOf(requireAddress(address()), path, event), ends);
    } catch (error) {
      if (error instanceof RuntimeError && error.code === "UNAVAILABLE") this.#gone.resolve();
      throw error;
    }
    const status = Number(answer.headers.find(([name]) => name === ":status")?.[1]);
    if (status >= 200 && status < 300) return;
    const text = new TextDecoder().decode(answer.body.subarray(0, quotedCharacters)).replace(/[\p{Cc}\s]+/gu, " ");
    const message = `the application answered POST ${path} with ${status}: ${text}`;
    throw new RuntimeError(codeOfHttpStatus(status), "APPLICATION_CALL_FAILED", message);
  }
}

function requireAddress(address: string | undefined): string {
  if (address !== undefined) return address;
  throw new RuntimeError(
    "UNAVAILABLE",
    "APPLICATION_ADDRESS_MISSING",
    "the application has no HTTP address; set app.http",
  );
}

/** Resolves when something listens there. */
async function connectOnce(address: string, signal: AbortSignal): Promise<void> {
  const socket = connect(parseHostPort(address));
  try {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once("connect", resolve).once("error", reject);
    await unlessAborted(promise, AbortSignal.any([signal, AbortSignal.timeout(connectMs)]));
  } finally {
    socket.on("error", () => undefined).destroy();
  }
}

/** Metadata as headers; those of a stranger must not pass for the application's own, so each has a prefix. */
const metadataPrefix = "binding-metadata-";
const maxMetadataBytes = 16 * 1024;

function messageOf(authority: string, path: string, { data, metadata }: BindingEvent): HttpMessage {
  const headers: (readonly [string, string])[] = [
    [":method", "POST"],
    [":scheme", "http"],
    [":authority", authority],
    [":path", path],
    ["content-type", contentTypeOf(data, metadata)],
  ];
  let size = 0;
  for (const [name, value] of Object.entries(metadata)) {
    if (!/^[\w.-]+$/.test(name)) continue;
    const text = value
      .toWellFormed()
      .replace(/[^\x20-\x24\x26-\x7e]/gu, encodeURIComponent)
      .trim();
    size += name.length + text.length;
    if (size > maxMetadataBytes) break;
    headers.push([`${metadataPrefix}${name.toLowerCase()}`, text]);
  }
  return { headers, body: data, trailers: [] };
}

function contentTypeOf(data: Uint8Array, { contentType }: BindingEvent["metadata"]): string {
  if (contentType !== undefined && /^[\x21-\x7e]+(;[\x20-\x7e]*)?$/.test(contentType)) return contentType;
  try {
    JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
    return "application/json";
  } catch {
    return "application/octet-stream";
  }
}
