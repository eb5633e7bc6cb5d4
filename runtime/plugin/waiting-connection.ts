import type { ClosingPeer, ConnectionFilter, ConnectionHost } from "./connection-filter.ts";
import type { FilterAction, PluginInstance } from "./contract.ts";
import { PluginError } from "./plugin-error.ts";
import { type Waiter, WaitingPlace, type WaitingTerms } from "./waiting-place.ts";

type Callback = (filter: ConnectionFilter) => FilterAction;
type Open = (instance: PluginInstance, host: ConnectionHost) => ConnectionFilter;

/** A TCP connection that began while no instance was free: what WaitingStream is for streams. */
export class WaitingConnection implements ConnectionFilter, Waiter {
  readonly #host: ConnectionHost;
  readonly #open: Open;
  readonly #place: WaitingPlace;
  #filter: ConnectionFilter | undefined;
  #held: Callback | undefined;
  #hasFailed = false;

  constructor(host: ConnectionHost, terms: WaitingTerms, open: Open) {
    this.#host = host;
    this.#open = open;
    this.#place = new WaitingPlace(this, terms);
  }

  move(queue: Set<Waiter>): void {
    this.#place.move(queue);
  }

  begin(instance: PluginInstance): void {
    this.#place.leave();
    try {
      this.#filter = this.#open(instance, this.#observedHost());
    } catch (error) {
      if (!(error instanceof PluginError)) throw error;
      this.#host.failed(error);
      return;
    }
    const held = this.#held;
    this.#held = undefined;
    const action = held?.(this.#filter);
    if (!this.#hasFailed && (action === "continue" || action === "pause")) this.#host.settle(action);
  }

  fail(error: PluginError): void {
    this.#place.leave();
    this.#host.failed(error);
  }

  newConnection(): FilterAction {
    return this.#run((filter) => filter.newConnection());
  }

  downstreamData(endOfStream: boolean): FilterAction {
    return this.#run((filter) => filter.downstreamData(endOfStream));
  }

  upstreamData(endOfStream: boolean): FilterAction {
    return this.#run((filter) => filter.upstreamData(endOfStream));
  }

  /** A guest that never saw the connection is not told of its end. */
  downstreamClose(peer: ClosingPeer): void {
    this.#filter?.downstreamClose(peer);
  }

  upstreamClose(peer: ClosingPeer): void {
    this.#filter?.upstreamClose(peer);
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
  #observedHost(): ConnectionHost {
    const host = this.#host;
    return {
      data: (side) => host.data(side),
      resume: (side) => host.resume(side),
      settle: (action) => host.settle(action),
      close: (side) => host.close(side),
      failed: (error) => {
        this.#hasFailed = true;
        host.failed(error);
      },
      property: (path) => host.property(path),
      setProperty: (path, value) => host.setProperty(path, value),
    };
  }
}
