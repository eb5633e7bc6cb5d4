import { setTimeout as delay } from "node:timers/promises";
import type { ClientDuplexStream, Metadata, MethodDefinition } from "@grpc/grpc-js";
import {
  AuthService,
  KVService,
  LeaseService,
  type RangeRequest,
  type RangeResponse,
  type TxnRequest,
  type TxnResponse,
  type WatchRequest,
  type WatchResponse,
  WatchService,
} from "../../proto/gen/etcd/rpc.ts";
import type { CallContext, OpenContext } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { messageOf } from "../thrown.ts";
import { backOffMs } from "./back-off.ts";
import { type EtcdEndpoint, EtcdEndpoints } from "./etcd-endpoints.ts";
import { etcdFailure, type GrpcError, grpcErrorOf, hasNoUsers, isAway, isUnsent, wantsToken } from "./etcd-failure.ts";
import { rangeOf } from "./etcd-requests.ts";
import type { EtcdSettings } from "./etcd-settings.ts";
import { onceReady } from "./once-ready.ts";
import { withinCall } from "./within-call.ts";

/** Whom the component comes as. */
interface Credentials {
  readonly name: string;
  readonly password: string;
}

/** A stream and where to tell how it ended, so that the next one is opened elsewhere or with a new token. */
interface EtcdStream {
  readonly stream: ClientDuplexStream<WatchRequest, WatchResponse>;
  failed(error: GrpcError): Promise<void>;
}

type Surroundings = Pick<OpenContext, "name" | "log" | "reachability" | "secret">;

/** Connects to the cluster; rejects with a sentence that names the component and what is wrong. */
export async function openEtcd(settings: EtcdSettings, context: Surroundings): Promise<EtcdConnection> {
  const { username, password } = settings;
  const credentials =
    username === undefined || password === undefined
      ? undefined
      : { name: username, password: await context.secret(password) };
  const endpoints = await EtcdEndpoints.open(settings, context.name);
  const connection = new EtcdConnection(settings, context, endpoints, credentials);
  return onceReady(connection, connection.ready(settings.connectTimeoutMs));
}

/**
 * A cluster of etcd, spoken to through one of its members at a time. While none answers, requests fail with UNAVAILABLE, and
 * it looks for one by itself. Nothing that may have been done is sent again, reads excepted.
 */
export class EtcdConnection implements AsyncDisposable {
  readonly #name: string;
  readonly #settings: EtcdSettings;
  readonly #context: Surroundings;
  readonly #endpoints: EtcdEndpoints;
  readonly #credentials: Credentials | undefined;
  readonly #closing = new AbortController();
  /** Holds the token, when there is one. */
  #metadata: Metadata;
  #renewing: Promise<void> | undefined;
  #looking: Promise<void> | undefined;
  #isDown = false;

  constructor(
    settings: EtcdSettings,
    context: Surroundings,
    endpoints: EtcdEndpoints,
    credentials: Credentials | undefined,
  ) {
    this.#name = context.name;
    this.#settings = settings;
    this.#context = context;
    this.#endpoints = endpoints;
    this.#credentials = credentials;
    this.#metadata = endpoints.metadata();
  }

  /** What all keys of the component begin with. */
  get prefix(): string {
    return this.#settings.prefix;
  }

  /** Aborts when the connection is closed. */
  get closed(): AbortSignal {
    return this.#closing.signal;
  }

  /** Resolves once the server has answered; rejects when that takes too long or the component is refused. */
  async ready(timeoutMs: number): Promise<void> {
    const giveUpAtMs = performance.now() + timeoutMs;
    for (let attempt = 1; ; attempt++) {
      try {
        if (this.#credentials !== undefined) await this.#renew();
        await this.#ping();
        break;
      } catch (error) {
        const waitMs = backOffMs(attempt);
        const isPassing = error instanceof RuntimeError && error.code === "UNAVAILABLE";
        if (!isPassing || performance.now() + waitMs > giveUpAtMs) throw error;
        await delay(waitMs);
      }
    }
    this.#endpoints.follow(() => this.#look());
  }

  range(request: RangeRequest): Promise<RangeResponse> {
    return this.#call(KVService.range, request, "read");
  }

  /** `effect` says whether it may be sent again when it is not known whether it was done. */
  txn(request: TxnRequest, effect: "read" | "write" = "write"): Promise<TxnResponse> {
    return this.#call(KVService.txn, request, effect);
  }

  /** The id of a new lease. */
  async grant(seconds: number): Promise<bigint> {
    const { ID } = await this.#call(LeaseService.leaseGrant, { TTL: BigInt(seconds), ID: 0n }, "read");
    return ID;
  }

  /** Opens a stream for a watch. A member that has lost the others ends it, instead of being silent. */
  watch(): EtcdStream {
    const endpoint = this.#endpoints.current;
    const metadata = this.#metadata.clone();
    metadata.set("hasleader", "true");
    return {
      stream: endpoint.stream(WatchService.watch, metadata),
      failed: (error) => this.#failed(endpoint, error),
    };
  }

  /** Settles with the work, or earlier when the call ends or the server takes too long. */
  within<T>(call: CallContext, work: Promise<T>): Promise<T> {
    const { requestTimeoutMs: longestMs } = this.#settings;
    return withinCall(work, call, { longestMs, server: `the etcd of '${this.#name}'` });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#endpoints[Symbol.dispose]();
    await this.#looking;
  }

  async #call<Q, R>(method: MethodDefinition<Q, R>, request: Q, effect: "read" | "write"): Promise<R> {
    try {
      return await this.#ask(method, request, effect);
    } catch (error) {
      const failure = etcdFailure(this.#name, error);
      if (failure.reason === "ETCD_UNREACHABLE") this.#look(failure.message);
      throw failure;
    }
  }

  /** Asks one member after the other; rejects with what the last one said. */
  async #ask<Q, R>(method: MethodDefinition<Q, R>, request: Q, effect: "read" | "write"): Promise<R> {
    let hasRenewed = false;
    for (let attempt = 1; ; attempt++) {
      const endpoint = this.#endpoints.current;
      try {
        return await endpoint.unary(method, request, this.#metadata);
      } catch (error) {
        const said = grpcErrorOf(error);
        if (!hasRenewed && this.#credentials !== undefined && wantsToken(said.details)) {
          hasRenewed = true;
          await this.#renew();
          continue;
        }
        if (!isAway(said)) throw error;
        this.#endpoints.rotate(endpoint);
        if (attempt >= this.#endpoints.count || !(effect === "read" || isUnsent(said))) throw error;
      }
    }
  }

  async #failed(endpoint: EtcdEndpoint, error: GrpcError): Promise<void> {
    if (isAway(error)) {
      this.#endpoints.rotate(endpoint);
      this.#look();
    } else if (wantsToken(error.details) || error.details.includes("permission denied")) {
      await this.#renew().catch(() => undefined);
    }
  }

  /** Gets a token; one attempt for all who ask at once. */
  #renew(): Promise<void> {
    this.#renewing ??= this.#authenticate().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #authenticate(): Promise<void> {
    if (this.#credentials === undefined) return;
    const metadata = this.#endpoints.metadata();
    try {
      const endpoint = this.#endpoints.current;
      const { token } = await endpoint.unary(AuthService.authenticate, this.#credentials, metadata);
      metadata.set("token", token);
    } catch (error) {
      const said = grpcErrorOf(error);
      if (isAway(said)) this.#endpoints.rotate(this.#endpoints.current);
      if (!hasNoUsers(said.details)) throw etcdFailure(this.#name, error);
    }
    this.#metadata = metadata;
  }

  /** Asks for something that only a cluster that can serve knows. */
  async #ping(): Promise<void> {
    try {
      const request = rangeOf(Buffer.from(this.#settings.prefix), { countOnly: true });
      await this.#ask(KVService.range, request, "read");
    } catch (error) {
      throw etcdFailure(this.#name, error);
    }
  }

  /** Sees whether a member serves, and tells those who want to know; `why` when it is known that none does. */
  #look(why?: string): void {
    if (this.#looking !== undefined || this.closed.aborted) return;
    if (why !== undefined) this.#tellDown(why);
    this.#looking = this.#lookUntilFound().finally(() => {
      this.#looking = undefined;
    });
  }

  async #lookUntilFound(): Promise<void> {
    for (let attempt = 1; !this.closed.aborted; attempt++) {
      try {
        await this.#ping();
        break;
      } catch (error) {
        // Whoever refuses has answered.
        if (error instanceof RuntimeError && error.code !== "UNAVAILABLE") break;
        this.#tellDown(messageOf(error));
      }
      await delay(backOffMs(attempt), undefined, { signal: this.closed }).catch(() => undefined);
    }
    if (!this.#isDown || this.closed.aborted) return;
    this.#isDown = false;
    this.#context.log.info({}, `the etcd of '${this.#name}' is back`);
    this.#context.reachability.up();
  }

  #tellDown(why: string): void {
    if (this.#isDown || this.closed.aborted) return;
    this.#isDown = true;
    this.#context.log.warn({ why }, `the etcd of '${this.#name}' cannot be reached; it is tried again`);
    this.#context.reachability.down(why);
  }
}
