/** An answer that a plugin gives piece by piece, between the plugin and the chain that sends it. */
import { isConnectionField } from "../http1/connection-fields.ts";
import type { AnswerSink, AnswerSource } from "../plugin/answer.ts";
import { noBytes, type RequestSink, type ResponseSink } from "./exchange.ts";
import { faultOf, HeaderList, statusOf } from "./headers.ts";
import { cleanTrailers } from "./hop-by-hop.ts";
import { declaredLength } from "./outlet.ts";

type Fields = readonly (readonly [name: string, value: string])[];

/** Stands where an upstream would: what would be sent there goes to nobody, for the plugin has it already. */
export class AnsweringPlugin implements RequestSink {
  readonly #source: AnswerSource;
  #isPaused = false;

  constructor(source: AnswerSource) {
    this.#source = source;
  }

  data(): void {}

  trailers(): void {}

  reset(): void {
    this.#source.reset();
  }

  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#source.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#source.resume();
  }
}

/**
 * Checks what a plugin answers, and sends it: no body where there may be none, and as much of it as the head declares. What a
 * plugin says beyond the end is not heard.
 */
export class PluginAnswer implements AnswerSink {
  readonly #response: ResponseSink;
  readonly #isHeadRequest: boolean;
  #state: "head" | "body" | "over" = "head";
  /** What is missing of the length that the head declares. */
  #left: number | undefined;

  constructor(response: ResponseSink, method: string) {
    this.#response = response;
    this.#isHeadRequest = method === "HEAD";
  }

  /** Whether all of the answer was given, or none will be. */
  get isOver(): boolean {
    return this.#state === "over";
  }

  head(fields: Fields, endOfStream: boolean): void {
    if (this.#state !== "head") return;
    const headers = headOf(fields);
    const status = statusOf(headers);
    if (status === undefined) throw new RangeError("its ':status' is not one of a final response");
    const fault = faultOf(headers.flat);
    if (fault !== undefined) throw new RangeError(fault);
    const length = lengthOf(headers);
    const isBodiless = this.#isHeadRequest || status === 204 || status === 304;
    if (status === 204) headers.remove("content-length");
    if (endOfStream && !isBodiless) {
      if (length !== undefined && length > 0) throw new RangeError(`it has no body, and declares ${length} bytes`);
      if (length === undefined) headers.append("content-length", "0");
    }
    const isWhole = endOfStream || isBodiless;
    this.#left = length;
    this.#state = isWhole ? "over" : "body";
    this.#response.head(headers, isWhole);
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    if (this.#state !== "body" || !this.#counts(chunk.length, endOfStream)) return;
    if (endOfStream) this.#state = "over";
    if (endOfStream || chunk.length > 0) this.#response.data(chunk, endOfStream);
  }

  trailers(fields: Fields): void {
    if (this.#state !== "body" || !this.#counts(0, true)) return;
    this.#state = "over";
    const trailers = HeaderList.of([]);
    trailers.replaceAll(fields);
    cleanTrailers(trailers);
    if (trailers.size === 0 || faultOf(trailers.flat) !== undefined) this.#response.data(noBytes, true);
    else this.#response.trailers(trailers);
  }

  reset(reason: string): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#response.reset({ status: 500, details: "invalid_plugin_response", message: reason });
  }

  giveUp(reason: string): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#response.reset({ status: 408, details: "client_timeout", message: reason });
  }

  /** False when the body is not as long as was declared, and the answer was given up for that. */
  #counts(bytes: number, isEnd: boolean): boolean {
    if (this.#left === undefined) return true;
    this.#left -= bytes;
    if (this.#left < 0) this.reset("the plugin's response is longer than it declares");
    else if (isEnd && this.#left > 0)
      this.reset(`the plugin's response is ${this.#left} bytes shorter than it declares`);
    return this.#state === "body";
  }
}

/** The fields of the head that the plugin decides on: framing is the proxy's. */
function headOf(fields: Fields): HeaderList {
  const flat: string[] = [];
  for (const [name, value] of fields) {
    const key = name.toLowerCase();
    if (key === ":status" || (!key.startsWith(":") && !isConnectionField(key))) flat.push(key, value);
  }
  return HeaderList.adopt(flat);
}

/** What `content-length` declares; undefined without one. Throws RangeError when that is no length. */
function lengthOf(headers: HeaderList): number | undefined {
  const length = declaredLength(headers);
  if (length === undefined && headers.has("content-length"))
    throw new RangeError("its 'content-length' is not a length");
  return length;
}
