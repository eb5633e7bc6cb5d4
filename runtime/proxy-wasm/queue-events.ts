import type { RootContext } from "./root-context.ts";

/** More events than this are not kept: whoever is told so often looks into the queue anyway. */
const mostWaiting = 10_000;

/**
 * The queues that a root context registered: calls `proxy_on_queue_ready` once for each item, never within the hostcall that put it
 * in, and one turn of the event loop for each.
 */
export class QueueEvents {
  readonly #root: RootContext;
  readonly #registered = new DisposableStack();
  readonly #tokens = new Set<number>();
  /** Tokens of the events that did not reach the guest yet. */
  #waiting: number[] = [];
  #started = false;
  #scheduled: NodeJS.Immediate | undefined;

  constructor(root: RootContext) {
    this.#root = root;
  }

  /** The queue's token; throws RangeError when there are too many. */
  register(name: string): number {
    const registration = this.#root.services.sharedQueues.register(name, { ready: this.#ready });
    // Again is not twice: the guest is told of an item once.
    if (this.#tokens.has(registration.token)) registration[Symbol.dispose]();
    else this.#registered.use(registration);
    this.#tokens.add(registration.token);
    return registration.token;
  }

  /** Events that came while the guest started reach it now. */
  start(): void {
    this.#started = true;
    this.#schedule();
  }

  stop(): void {
    this.#started = false;
    this.#waiting = [];
    clearImmediate(this.#scheduled);
    this.#registered[Symbol.dispose]();
  }

  readonly #ready = (token: number): void => {
    if (this.#root.vm.callbacks.queueReady === undefined || this.#waiting.length >= mostWaiting) return;
    this.#waiting.push(token);
    this.#schedule();
  };

  #schedule(): void {
    if (!this.#started || this.#scheduled !== undefined || this.#waiting.length === 0) return;
    this.#scheduled = setImmediate(() => {
      this.#scheduled = undefined;
      this.#deliver();
      this.#schedule();
    });
  }

  #deliver(): void {
    const token = this.#waiting.shift();
    const root = this.#root;
    const { queueReady } = root.vm.callbacks;
    if (token === undefined || queueReady === undefined) return;
    root.vm.take(() => root.vm.enter(root, queueReady, root.id, token));
  }
}
