import type { Caller } from "../plugin/contract.ts";
import type { AccessRecord } from "../telemetry/access-log.ts";
import { type ConnectionFacts, type RequestSink, type ResponseFlag, responseFlags } from "./exchange.ts";
import { type HeaderList, statusOf } from "./headers.ts";
import { KeptProperties } from "./kept-properties.ts";

/** What is known of one exchange while it goes through the proxy: for attributes, metrics and the access log. */
export class Stream {
  readonly connection: ConnectionFacts;
  readonly request: HeaderList;
  readonly requestId: string;
  /** The plugin that made the request, if one did. */
  readonly caller: Caller | undefined;
  readonly startedAtMs = Date.now();
  readonly #started = performance.now();
  /** As the client sent them, whatever filters make of the head. */
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly requestHeadBytes: number;
  requestTrailers: HeaderList | undefined;
  response: HeaderList | undefined;
  responseTrailers: HeaderList | undefined;
  route: string | undefined;
  plugin: string | undefined;
  upstream: RequestSink["facts"];
  bytesReceived = 0;
  bytesSent = 0;
  /** Of the response whose head was sent; 0 before. */
  status = 0;
  details = "";
  readonly #flags: ResponseFlag[] = [];
  #properties: KeptProperties | undefined = undefined;

  constructor(connection: ConnectionFacts, request: HeaderList, requestId: string, caller?: Caller) {
    this.connection = connection;
    this.request = request;
    this.requestId = requestId;
    this.caller = caller;
    this.method = request.get(":method") ?? "";
    this.path = request.get(":path") ?? "";
    this.authority = request.get(":authority") ?? "";
    this.requestHeadBytes = bytesOf(request);
  }

  get elapsedMs(): number {
    return performance.now() - this.#started;
  }

  /** In the order in which they were raised. */
  get flags(): readonly ResponseFlag[] {
    return this.#flags;
  }

  raise(flag: ResponseFlag): void {
    if (!this.#flags.includes(flag)) this.#flags.push(flag);
  }

  get flagBits(): bigint {
    let bits = 0n;
    for (const flag of this.#flags) bits |= responseFlags[flag];
    return bits;
  }

  /** Keeps a copy of the value; false when that would be more than 1 MiB for the stream. */
  keep(path: readonly string[], value: Uint8Array): boolean {
    this.#properties ??= new KeptProperties();
    return this.#properties.set(path, value);
  }

  kept(path: readonly string[]): Uint8Array | undefined {
    return this.#properties?.get(path);
  }

  record(): AccessRecord {
    const { connection } = this;
    return {
      startedAtMs: this.startedAtMs,
      durationMs: this.elapsedMs,
      protocol: connection.protocol,
      method: this.method,
      path: this.path,
      authority: this.authority,
      route: this.route,
      status: this.status === 0 && this.#flags.includes("DC") ? 499 : this.status,
      details: this.details,
      flags: this.#flags,
      bytesReceived: this.bytesReceived,
      bytesSent: this.bytesSent,
      upstream: this.upstream?.upstream,
      endpoint: this.upstream?.endpoint,
      plugin: this.plugin,
      peer: connection.peer,
      requestId: this.requestId,
      userAgent: this.request.get("user-agent"),
    };
  }
}

/** Bytes of the fields as text, which is what sizes of heads count. */
export function bytesOf(headers: HeaderList | undefined): number {
  let bytes = 0;
  if (headers !== undefined) for (const text of headers.flat) bytes += text.length;
  return bytes;
}

/** `address:port`, with brackets around an IPv6 address; empty for a Unix socket. */
export function hostPort(address: string, port: number): string {
  if (address === "") return "";
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The status of the response head seen so far, or 0. */
export function responseCode(stream: Stream): number {
  if (stream.status !== 0) return stream.status;
  return stream.response === undefined ? 0 : (statusOf(stream.response) ?? 0);
}
