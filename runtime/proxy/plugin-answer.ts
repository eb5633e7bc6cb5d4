/** An answer that a plugin gives piece by piece, between the plugin and the chain that sends it. */
import { isConnectionField } from "../http1/connection-fields.ts";
import type { AnswerSink, AnswerSource } from "../plugin/contract.ts";
import type { RequestSink, ResponseSink } from "./exchange.ts";
import { faultOfFields, HeaderList, statusOf } from "./headers.ts";

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

/** Checks what a plugin answers, and sends it: no body where there may be none, and as much of it as was declared. */
export class PluginAnswer implements AnswerSink {
  readonly #response: ResponseSink;
  readonly #isHeadRequest: boolean;
  #isBodiless = false;
  #state: "head" | "body" | "over" = "head";

  constructor(response: ResponseSink, method: string) {
    this.#response = response;
    this.#isHeadRequest = method === "HEAD";
  }

  head(fields: Fields, endOfStream: boolean): void {
    if (this.#state !== "head") return;
    const headers = HeaderList.of(fields.filter(([name]) => name === ":status" || !isConnectionField(name)));
    const status = statusOf(headers);
    if (status === undefined) throw new RangeError("its ':status' is not one of a final response");
    const fault = faultOfFields(headers);
    if (fault !== undefined) throw new RangeError(fault);
    this.#isBodiless = this.#isHeadRequest || status === 204 || status === 304;
    if (endOfStream && !this.#isBodiless) headers.set("content-length", "0");
    this.#state = endOfStream || this.#isBodiless ? "over" : "body";
    this.#response.head(headers, this.#state === "over");
  }

  data(chunk: Uint8Array, endOfStream: boolean): void {
    if (this.#state !== "body") return;
    if (endOfStream) this.#state = "over";
    if (endOfStream || chunk.length > 0) this.#response.data(chunk, endOfStream);
  }

  trailers(fields: Fields): void {
    if (this.#state !== "body") return;
    this.#state = "over";
    const trailers = HeaderList.of(fields);
    if (fields.length === 0 || faultOfFields(trailers) !== undefined) this.#response.data(new Uint8Array(0), true);
    else this.#response.trailers(trailers);
  }

  reset(reason: string): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#response.reset({ status: 500, details: "invalid_plugin_response", message: reason });
  }
}
