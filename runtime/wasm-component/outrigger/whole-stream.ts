import type { FilterAction, StreamFilter } from "../../plugin/contract.ts";

/** What is done with messages once they are there as a whole; both return at once. */
export interface WholeStreamSteps {
  /** The request is held, head and body. */
  request(): void;
  /** The response is held; absent when responses go by. */
  readonly response?: () => void;
  /** Nothing more comes of the stream. */
  end(): void;
}

/** Shows a guest of plain data its stream: holds each message until the end of its body. */
export class WholeStream implements StreamFilter {
  readonly #steps: WholeStreamSteps;
  #isRequestWhole = false;
  #isResponseWhole = false;

  constructor(steps: WholeStreamSteps) {
    this.#steps = steps;
  }

  requestHeaders(endOfStream: boolean): FilterAction {
    return endOfStream ? this.#requestIsWhole() : "hold";
  }

  requestBody(endOfStream: boolean): FilterAction {
    return endOfStream ? this.#requestIsWhole() : "pause";
  }

  requestTrailers(): FilterAction {
    return this.#requestIsWhole();
  }

  responseHeaders(endOfStream: boolean): FilterAction {
    if (this.#steps.response === undefined) return "continue";
    return endOfStream ? this.#responseIsWhole() : "hold";
  }

  responseBody(endOfStream: boolean): FilterAction {
    if (this.#steps.response === undefined) return "continue";
    return endOfStream ? this.#responseIsWhole() : "pause";
  }

  responseTrailers(): FilterAction {
    return this.#steps.response === undefined ? "continue" : this.#responseIsWhole();
  }

  end(): void {
    this.#steps.end();
  }

  #requestIsWhole(): FilterAction {
    if (!this.#isRequestWhole) {
      this.#isRequestWhole = true;
      this.#steps.request();
    }
    return "pause";
  }

  #responseIsWhole(): FilterAction {
    if (!this.#isResponseWhole) {
      this.#isResponseWhole = true;
      this.#steps.response?.();
    }
    return "pause";
  }
}
