/** An answer that is given piece by piece: what who gives it and who takes it agree on. */

/** Who answers piece by piece, as it is told of its reader. */
export interface AnswerSource {
  /** The client is slow: no more for now. Pairs with `resume`. */
  pause(): void;
  resume(): void;
  /** Nothing more of the answer is wanted. */
  reset(): void;
}

/** Takes an answer: head, data, and trailers or the end. Calls after the end or a reset have no effect. */
export interface AnswerSink {
  /** Names are lower-case; `:status` first. Throws RangeError when the head is not a valid one. */
  head(headers: readonly (readonly [name: string, value: string])[], endOfStream: boolean): void;
  /** The chunk may be kept: nobody may write to it again. */
  data(chunk: Uint8Array, endOfStream: boolean): void;
  /** Ends the answer. */
  trailers(trailers: readonly (readonly [name: string, value: string])[]): void;
  /** No whole answer will come: the client is told 500 with the reason, or the stream is cut off. */
  reset(reason: string): void;
  /** As `reset`, with 408: the client took too long to send or to take, which is no failure of the plugin. */
  giveUp(reason: string): void;
}
