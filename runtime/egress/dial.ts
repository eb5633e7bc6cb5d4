import net from "node:net";
import type { RoundRobin } from "./balancer.ts";
import type { Endpoint } from "./endpoint-source.ts";

export interface DialReceiver {
  connected(socket: net.Socket, endpoint: Endpoint): void;
  /** No endpoint could be connected to; the last failure, undefined when there was none to try. */
  failed(error: Error | undefined): void;
}

/** Connects to one endpoint of an upstream: each is tried once, in turn, until one answers within the time. Disposing gives up. */
export class Dial implements Disposable {
  readonly #balancer: RoundRobin;
  readonly #timeoutMs: number;
  readonly #receiver: DialReceiver;
  readonly #tried = new Set<Endpoint>();
  #socket: net.Socket | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(balancer: RoundRobin, timeoutMs: number, receiver: DialReceiver) {
    this.#balancer = balancer;
    this.#timeoutMs = timeoutMs;
    this.#receiver = receiver;
    this.#next(undefined);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #next(error: Error | undefined): void {
    const endpoint = this.#balancer.pick(this.#tried);
    if (endpoint === undefined) {
      // The caller has not got this object yet when there is nothing to try.
      queueMicrotask(() => this.#receiver.failed(error));
      return;
    }
    this.#tried.add(endpoint);
    const { host, port, path } = endpoint;
    const socket = net.connect({ ...(path === undefined ? { host, port } : { path }), allowHalfOpen: true });
    socket.setNoDelay(true);
    const failed = (cause: Error): void => {
      clearTimeout(this.#timer);
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#balancer.failed(endpoint);
      this.#next(cause);
    };
    socket.once("error", failed).once("connect", () => {
      clearTimeout(this.#timer);
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      socket.off("error", failed);
      this.#balancer.connected(endpoint);
      this.#receiver.connected(socket, endpoint);
    });
    this.#socket = socket;
    this.#timer = setTimeout(() => {
      socket.destroy(new Error(`did not connect within ${this.#timeoutMs} ms`));
    }, this.#timeoutMs);
  }
}
