import type { NatsConnection as Client, Msg, MsgHdrs } from "nats";
import type { ComponentLog, OpenContext, Reachability } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { backOffMs } from "./back-off.ts";
import { natsConnectFailure, whyOf } from "./nats-failure.ts";
import { natsOptions } from "./nats-options.ts";
import { NatsRequests } from "./nats-requests.ts";
import type { NatsSettings } from "./nats-settings.ts";
import { loadNats } from "./nats-transport.ts";

/** Longest wait for the farewell of a server when the connection is closed. */
const drainMs = 1_000;
/** How long a server that left a request unanswered may take for a ping. */
const pingMs = 2_000;
/** What may lie between us and the server at a time; more is refused. */
const longestBacklogBytes = 64 * 1024 ** 2;

export type NatsMessage = Msg;
export type NatsHeaders = MsgHdrs;

/** Connects to one of the servers; rejects with a sentence that names the component and what is wrong. */
export async function openNats(settings: NatsSettings, context: OpenContext): Promise<NatsConnection> {
  const { name } = context;
  // Loaded here, so that only a sidecar with a component on NATS loads it.
  const nats = await loadNats();
  const closing = new AbortController();
  let attempts = 0;
  const options = await natsOptions(nats, settings, context, closing.signal);
  const connecting = nats.connect({ ...options, reconnectDelayHandler: () => backOffMs(Math.max(1, attempts)) });
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(() => timeout.reject(new Error("it does not answer")), settings.connectTimeoutMs);
  try {
    const client = await Promise.race([connecting, timeout.promise]);
    return new NatsConnection(client, nats.headers, {
      ...context,
      requestTimeoutMs: settings.requestTimeoutMs,
      closing,
      attempted: (count) => {
        attempts = count;
      },
    });
  } catch (error) {
    closing.abort();
    connecting.then(
      (late) => late.close(),
      () => undefined,
    );
    throw natsConnectFailure(name, error);
  } finally {
    clearTimeout(timer);
  }
}

interface NatsConnectionOptions {
  readonly name: string;
  readonly log: ComponentLog;
  readonly reachability: Reachability;
  readonly requestTimeoutMs: number;
  /** Aborted when the connection is to end, so that no attempt to connect is carried on. */
  readonly closing: AbortController;
  /** Told how many attempts to connect have failed since the connection was lost. */
  readonly attempted: (count: number) => void;
}

export interface NatsSubscription {
  /** Ends it; resolves once nothing more can come. */
  end(): Promise<void>;
}

/**
 * A connection that comes back by itself when it is lost, with its subscriptions. What waits for an answer then fails, and so
 * does what is asked for before there is a new one: nothing is kept for later.
 */
export class NatsConnection implements AsyncDisposable {
  readonly name: string;
  readonly log: ComponentLog;
  readonly #client: Client;
  readonly #newHeaders: () => MsgHdrs;
  readonly #options: NatsConnectionOptions;
  readonly #requests: NatsRequests;
  #isLost = false;
  #isSuspect = false;
  #lastError = "the connection was closed";
  readonly #watchers = new Set<(isUp: boolean) => void>();

  constructor(client: Client, newHeaders: () => MsgHdrs, options: NatsConnectionOptions) {
    this.name = options.name;
    this.log = options.log;
    this.#client = client;
    this.#newHeaders = newHeaders;
    this.#options = options;
    this.#requests = new NatsRequests(client, {
      name: options.name,
      timeoutMs: options.requestTimeoutMs,
      longestBacklogBytes,
      unanswered: () => void this.#suspect(),
    });
    void this.#follow();
  }

  /** The longest message that the server takes, headers included. */
  get maxPayloadBytes(): number {
    return this.#client.info?.max_payload ?? 1024 ** 2;
  }

  /** Whether there is a connection now. */
  get isUp(): boolean {
    return !this.#isLost && !this.#client.isClosed();
  }

  get isClosing(): boolean {
    return this.#options.closing.signal.aborted;
  }

  headers(fields: Readonly<Record<string, string>>): NatsHeaders {
    const headers = this.#newHeaders();
    for (const [name, value] of Object.entries(fields)) headers.set(name, value);
    return headers;
  }

  /** A subject that nobody else listens to; whoever subscribes to it may add tokens. */
  newInbox(): string {
    return this.#requests.newInbox();
  }

  /** Sends and resolves to the first answer. Rejects with RuntimeError, also when nobody listens there. */
  async request(subject: string, data: Uint8Array | string, headers?: NatsHeaders, timeoutMs?: number): Promise<Msg> {
    this.#checkUp();
    return this.#requests.ask({ subject, data, headers, timeoutMs });
  }

  /** Sends, and does not wait for anything. False when there is no connection and nothing was sent. */
  publish(
    subject: string,
    data: Uint8Array | string = "",
    options: { readonly reply?: string; readonly headers?: NatsHeaders } = {},
  ): boolean {
    if (!this.isUp) return false;
    this.#client.publish(subject, data, { ...options });
    return true;
  }

  /** Resolves once the server has taken all that was sent until now. */
  async flush(): Promise<void> {
    this.#checkUp();
    await this.within(this.#client.flush());
  }

  /** Settles as the work does; rejects when that takes longer than a request may. */
  within(work: Promise<void>): Promise<void> {
    return this.#requests.within(work);
  }

  /** `receive` must not throw. The subscription outlasts a lost connection; `refused` tells that the server forbids it. */
  subscribe(
    subject: string,
    receive: (message: Msg) => void,
    { queue, refused }: { readonly queue?: string; readonly refused?: (why: string) => void } = {},
  ): NatsSubscription {
    const subscription = this.#client.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error, message) => {
        if (error === null) receive(message);
        else refused?.(whyOf(error));
      },
    });
    return {
      end: async () => {
        const ended = subscription.drain().catch(() => undefined);
        if (this.isUp) await this.#requests.within(ended).catch(() => undefined);
        subscription.unsubscribe();
      },
    };
  }

  /** Calls back each time that the connection is lost or back, until what this gives is disposed. */
  watch(changed: (isUp: boolean) => void): Disposable {
    // One function may watch twice.
    const watcher = (isUp: boolean): void => changed(isUp);
    this.#watchers.add(watcher);
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) };
  }

  /** Throws when the message would be longer than the server takes. `what` names it: `the value of key 'a'`. */
  checkSize(what: string, bytes: number): void {
    // Headers, and what the server counts with them.
    const room = this.maxPayloadBytes - 1024;
    if (bytes <= room) return;
    const message = `${what} has ${bytes} bytes, and the NATS of '${this.name}' takes ${room}; raise max_payload of the server`;
    throw new RuntimeError("RESOURCE_EXHAUSTED", "NATS_TOO_LARGE", message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isClosing) return;
    this.#options.closing.abort();
    if (this.isUp) {
      const { promise: late, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, drainMs);
      await Promise.race([this.#client.drain().catch(() => undefined), late]);
      clearTimeout(timer);
    }
    await this.#client.close();
    this.#requests.failAll(this.unreachable("the connection was closed"));
  }

  /** Hears what becomes of the connection, for as long as there is one. */
  async #follow(): Promise<void> {
    const { attempted } = this.#options;
    let attempts = 0;
    for await (const status of this.#client.status()) {
      if (status.type === "disconnect") this.#lost();
      else if (status.type === "reconnecting") attempted(++attempts);
      else if (status.type === "reconnect") {
        attempts = 0;
        attempted(0);
        this.#found();
      } else if (status.type === "error") {
        this.#heardWhy(whyOf(Object.assign(new Error(String(status.data)), { code: status.data })));
        const { permissionContext } = status;
        if (permissionContext?.operation === "publish") this.#requests.refuse(permissionContext.subject);
      }
    }
    if (this.isClosing) return;
    this.#lost();
    this.log.error({ why: this.#lastError }, `the client of the NATS of '${this.name}' gave up`);
  }

  #lost(): void {
    if (this.isClosing || this.#isLost) return;
    this.#isLost = true;
    this.#requests.failAll(this.#wasLost());
    this.log.warn({ why: this.#lastError }, `the NATS of '${this.name}' cannot be reached; it is tried again`);
    this.#options.reachability.down(this.#lastError);
    for (const watcher of [...this.#watchers]) watcher(false);
  }

  /**
   * A request was not answered, which may be the fault of whoever should have; a server that does not answer a ping either
   * is told to be away until it does.
   */
  async #suspect(): Promise<void> {
    if (this.#isSuspect || this.isClosing || !this.isUp) return;
    this.#isSuspect = true;
    let isSilent = false;
    const timer = setTimeout(() => {
      if (this.isClosing || !this.isUp) return;
      isSilent = true;
      const why = "it does not answer";
      this.log.warn({ why }, `the NATS of '${this.name}' cannot be reached; it is tried again`);
      this.#options.reachability.down(why);
    }, pingMs).unref();
    // Fails when the connection is given up, which is told elsewhere.
    const answers = await this.#client.flush().then(
      () => true,
      () => false,
    );
    clearTimeout(timer);
    this.#isSuspect = false;
    if (!answers || !isSilent || this.isClosing || !this.isUp) return;
    this.log.info({}, `the NATS of '${this.name}' is back`);
    this.#options.reachability.up();
  }

  /** What the server says is told as well when it comes after the connection was lost. */
  #heardWhy(why: string): void {
    const isNews = this.#isLost && why !== this.#lastError;
    this.#lastError = why;
    if (!isNews || this.isClosing) return;
    this.log.warn({ why }, `the NATS of '${this.name}' cannot be reached; it is tried again`);
    this.#options.reachability.down(why);
  }

  /** The error of whoever waited for an answer: what was asked may have been done. */
  #wasLost(): RuntimeError {
    const message = `the NATS of '${this.name}' went away before it answered: ${this.#lastError}`;
    return new RuntimeError("UNAVAILABLE", "NATS_CONNECTION_LOST", message);
  }

  #found(): void {
    this.#lastError = "the connection was closed";
    if (this.isClosing || !this.#isLost) return;
    this.#isLost = false;
    this.log.info({}, `the NATS of '${this.name}' is back`);
    this.#options.reachability.up();
    for (const watcher of [...this.#watchers]) watcher(true);
  }

  #checkUp(): void {
    if (!this.isUp) throw this.unreachable();
  }

  /** The error of whoever needs a connection while there is none. */
  unreachable(why = this.#lastError): RuntimeError {
    return new RuntimeError("UNAVAILABLE", "NATS_UNREACHABLE", `the NATS of '${this.name}' cannot be reached: ${why}`);
  }
}
