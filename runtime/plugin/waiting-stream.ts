import type { FilterAction, PluginInstance, StreamFilter, StreamHost } from "./contract.ts";
import { PluginError } from "./plugin-error.ts";
import { type Waiter, WaitingPlace, type WaitingTerms } from "./waiting-place.ts";

type Callback = (filter: StreamFilter) => FilterAction;

/**
 * A stream that began while no instance was free. Its first callback answers `suspended`; when an instance comes the stream
 * begins there, and the callback is settled as the guest ended it.
 */
export class WaitingStream implements StreamFilter, Waiter {
  readonly #host: StreamHost;
  readonly #place: WaitingPlace;
  #filter: StreamFilter | undefined;
  #held: Callback | undefined;
  #hasFailed = false;

  constructor(host: StreamHost, terms: WaitingTerms) {
    this.#host = host;
    this.#place = new WaitingPlace(this, terms);
  }

  move(queue: Set<Waiter>): void {
    this.#place.move(queue);
  }

  /** Begins the stream on the instance and runs the callback that waits. */
  begin(instance: PluginInstance): void {
    this.#place.leave();
    try {
      this.#filter = instance.open(this.#observedHost());
    } catch (error) {
      if (!(error instanceof PluginError)) throw error;
      this.#host.failed(error);
      return;
    }
    const held = this.#held;
    this.#held = undefined;
    const action = held?.(this.#filter);
    if (!this.#hasFailed && action !== undefined && action !== "suspended") this.#host.settle(action);
  }

  /** Ends the wait: the fail policy decides. */
  fail(error: PluginError): void {
    this.#place.leave();
    this.#host.failed(error);
  }

  requestHeaders(endOfStream: boolean): FilterAction {
    return this.#run((filter) => filter.requestHeaders(endOfStream));
  }

  requestBody(endOfStream: boolean): FilterAction {
    return this.#run((filter) => filter.requestBody(endOfStream));
  }

  requestTrailers(): FilterAction {
    return this.#run((filter) => filter.requestTrailers());
  }

  responseHeaders(endOfStream: boolean): FilterAction {
    return this.#run((filter) => filter.responseHeaders(endOfStream));
  }

  responseBody(endOfStream: boolean): FilterAction {
    return this.#run((filter) => filter.responseBody(endOfStream));
  }

  responseTrailers(): FilterAction {
    return this.#run((filter) => filter.responseTrailers());
  }

  end(): void {
    if (this.#filter === undefined) this.#place.leave();
    else this.#filter.end();
  }

  #run(callback: Callback): FilterAction {
    if (this.#filter !== undefined) return callback(this.#filter);
    this.#held = callback;
    return "suspended";
  }

  /** The host, with an eye on whether the callback failed: then it is not settled. */
  #observedHost(): StreamHost {
    const host = this.#host;
    return {
      get caller() {
        return host.caller;
      },
      headers: (map) => host.headers(map),
      body: (direction) => host.body(direction),
      resume: (direction) => host.resume(direction),
      settle: (action) => host.settle(action),
      respond: (reply) => host.respond(reply),
      reset: () => host.reset(),
      failed: (error) => {
        this.#hasFailed = true;
        host.failed(error);
      },
      property: (path) => host.property(path),
      setProperty: (path, value) => host.setProperty(path, value),
      clearRoute: () => host.clearRoute(),
      answer: (source) => host.answer(source),
    };
  }
}
