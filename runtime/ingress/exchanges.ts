import type { Upstreams } from "../egress/upstreams.ts";
import { HeaderBlock } from "../http2/header-block.ts";
import { LiveSet } from "../http2/live-set.ts";
import type { Http2Stream, StreamReceiver } from "../http2/stream-contract.ts";
import type { PluginUse } from "../plugin/contract.ts";
import type { Choice, Target } from "../proxy/choice.ts";
import { DeadlineQueue } from "../proxy/deadline-queue.ts";
import type { ConnectionFacts, Failure, RequestSink, ResponseSink } from "../proxy/exchange.ts";
import { tooLarge } from "../proxy/failures.ts";
import { FilterChain } from "../proxy/filter-chain.ts";
import { Forwarding } from "../proxy/forwarding.ts";
import { HeaderList } from "../proxy/headers.ts";
import { requestBlock } from "../proxy/http2-sections.ts";
import { declaredLength } from "../proxy/outlet.ts";
import { SectionMemo } from "../proxy/section-memo.ts";
import { Stream } from "../proxy/stream.ts";
import type { AccessRecord } from "../telemetry/access-log.ts";
import type { Log } from "../telemetry/log.ts";
import type { Http2ClientFacts } from "./connection-facts.ts";
import { addForwarded, givenRequestId } from "./forwarded.ts";
import { Http2Exchange } from "./http2-exchange.ts";
import { type Http2Head, headOf } from "./http2-head.ts";
import type { IngressMetrics } from "./ingress-metrics.ts";
import { LeanRoute } from "./lean-route.ts";
import { RequestIds } from "./request-ids.ts";
import type { Route, RoutingTable } from "./routing-table.ts";

/** Decides who may ask for what: a failure is the answer to the request. */
export type AccessPolicy = (connection: ConnectionFacts, route: string, request: HeaderList) => Failure | undefined;

export interface ExchangesOptions {
  readonly upstreams: Upstreams;
  readonly metrics: IngressMetrics;
  readonly log: Log;
  /** The routes for requests that begin now. */
  readonly table: () => RoutingTable;
  readonly policy: AccessPolicy | undefined;
  readonly isRecording: () => boolean;
  readonly record: (record: AccessRecord) => void;
  /** A stream has its answer, and may still be open. */
  readonly answered: (stream: Http2Stream) => void;
}

const noRoute: Failure = {
  status: 404,
  details: "route_not_found",
  message: "no route matches the request",
  flag: "NR",
};
const nowhere: Target = {
  kind: "handler",
  handler: () => {
    throw new Error("a refused request has no target");
  },
};
const noFilters: readonly PluginUse[] = [];
const goOn = HeaderBlock.of(":status", "100");

/** The exchanges of a listener: finds the route of each and drives it through filters, or forwards its frames. */
export class Exchanges implements Disposable {
  readonly #options: ExchangesOptions;
  readonly #active = new LiveSet<FilterChain | Forwarding<Http2Head>>();
  readonly #ids = new RequestIds();
  readonly #deadlines = new Map<number, DeadlineQueue>();
  readonly #leanRoutes = new WeakMap<Route, Map<string, LeanRoute>>();

  constructor(options: ExchangesOptions) {
    this.#options = options;
  }

  /** Requests that have not been answered in full. */
  get active(): number {
    return this.#active.size;
  }

  /** Takes a request whose head is `request`, which it may change. */
  serve(connection: ConnectionFacts, request: HeaderList, endOfStream: boolean, response: ResponseSink): RequestSink {
    addForwarded(request, connection);
    let requestId = givenRequestId(request);
    if (requestId === undefined) {
      requestId = this.#ids.next();
      if (request.has("x-request-id")) request.set("x-request-id", requestId);
      else request.append("x-request-id", requestId);
    }
    request.settle();
    const table = this.#options.table();
    const route = table.find(request);
    const found = this.#destination(table, route, connection, request, declaredLength(request));
    return this.#drive(new Stream(connection, request, requestId), table, route, found, endOfStream, response);
  }

  /** Takes a request that came over HTTP/2. */
  serveHttp2(
    connection: Http2ClientFacts,
    client: Http2Stream,
    block: HeaderBlock,
    endStream: boolean,
  ): StreamReceiver {
    const head = headOf(block, connection);
    const table = this.#options.table();
    const route = routeOf(head, table);
    const requestId = head.requestId ?? this.#ids.next();
    const found = head.refusal ?? this.#destination(table, route, connection, head.headers, head.declared);
    if (head.expectsContinue && !("status" in found)) client.sendHeaders(goOn, false);
    if (route !== undefined && route.filters.length === 0 && "upstream" in found && found.upstream !== undefined) {
      const endpoints = this.#options.upstreams.http2(found.upstream);
      if (endpoints !== undefined) {
        const forwarding = new Forwarding(this.#leanRoute(table, route, found.upstream), client, head, requestId);
        this.#active.add(forwarding);
        forwarding.start(endpoints, passedBlock(head, requestId), endStream);
        return forwarding;
      }
    }
    const headers =
      head.requestId === undefined ? [...head.headers.flat, "x-request-id", requestId] : head.headers.flat.slice();
    const request = HeaderList.adopt(headers);
    request.sensitive = head.sensitive;
    const stream = new Stream(connection, request, requestId);
    return new Http2Exchange(client, head, this.#options.answered).begin((response) =>
      this.#drive(stream, table, route, found, endStream, response),
    );
  }

  /** Ends the exchanges in which nothing moved for that many calls. */
  sweep(sweepsPerIdle: number): void {
    for (const exchange of this.#active) {
      if (exchange.sweep() < sweepsPerIdle) continue;
      const status = exchange.requestArrived ? 504 : 408;
      exchange.fail({ status, details: "stream_idle_timeout", message: "nothing moved for too long", flag: "SI" });
    }
  }

  /** A request that never became an exchange. */
  refused(record: AccessRecord): void {
    this.#options.metrics.meter(undefined, undefined).ended(record.status, record.durationMs);
    this.#tell(record);
  }

  [Symbol.dispose](): void {
    for (const queue of this.#deadlines.values()) queue[Symbol.dispose]();
  }

  #destination(
    { config: { maxBodyBytes } }: RoutingTable,
    route: Route | undefined,
    connection: ConnectionFacts,
    request: HeaderList,
    declared: number | undefined,
  ): Target | Failure {
    if (route === undefined) return noRoute;
    const denied = this.#options.policy?.(connection, route.name, request);
    if (denied !== undefined) return denied;
    if (maxBodyBytes !== undefined && (declared ?? 0) > maxBodyBytes) return tooLarge(maxBodyBytes);
    return route.target(request);
  }

  #drive(
    stream: Stream,
    table: RoutingTable,
    route: Route | undefined,
    found: Target | Failure,
    endOfStream: boolean,
    response: ResponseSink,
  ): RequestSink {
    stream.route = route?.name;
    const isUnrouted = found === noRoute && table.everywhere.length > 0;
    const refusal = "status" in found && !isUnrouted ? found : undefined;
    const choice = {
      filters: refusal === undefined ? (route?.filters ?? table.everywhere) : noFilters,
      target: "status" in found ? nowhere : found,
      deadlines: this.#deadlinesOf(route?.timeoutMs ?? 0),
    };
    const chain = new FilterChain({
      stream,
      choice,
      unroutedFilters: table.everywhere.length,
      choose: choice.filters.length === 0 ? undefined : () => this.#choose(stream, table),
      client: response,
      maxBufferBytes: table.config.maxBufferBytes,
      maxBodyBytes: table.config.maxBodyBytes,
      log: this.#options.log,
      finished: (over) => this.#finished(over, table),
    });
    table.begin();
    this.#active.add(chain);
    if (refusal === undefined) chain.start(endOfStream);
    else chain.fail(refusal);
    return chain.request;
  }

  /** The route by a head that filters changed. Whoever may use the one that it had need not be allowed on another. */
  #choose(stream: Stream, table: RoutingTable): Choice | Failure {
    const { connection, request } = stream;
    const route = table.find(request);
    const before = stream.route;
    stream.route = route?.name;
    if (route === undefined) return noRoute;
    const denied = route.name === before ? undefined : this.#options.policy?.(connection, route.name, request);
    if (denied !== undefined) return denied;
    const target = route.target(request);
    if ("status" in target) return target;
    return { filters: route.filters, target, deadlines: this.#deadlinesOf(route.timeoutMs) };
  }

  #finished(chain: FilterChain, table: RoutingTable): void {
    this.#active.delete(chain);
    table.end();
    const { stream } = chain;
    const status = stream.status === 0 && stream.flags.includes("DC") ? 499 : stream.status;
    this.#options.metrics.meter(stream.route, stream.upstream?.upstream).ended(status, stream.elapsedMs);
    if (this.#options.isRecording()) this.#tell(stream.record());
  }

  #leanRoute(table: RoutingTable, route: Route, upstream: string): LeanRoute {
    let byUpstream = this.#leanRoutes.get(route);
    if (byUpstream === undefined) {
      byUpstream = new Map();
      this.#leanRoutes.set(route, byUpstream);
    }
    const known = byUpstream.get(upstream);
    if (known !== undefined) return known;
    const { metrics, isRecording, answered } = this.#options;
    const lean = new LeanRoute({
      route: route.name,
      upstream,
      maxBodyBytes: table.config.maxBodyBytes,
      deadlines: this.#deadlinesOf(route.timeoutMs),
      meter: metrics.meter(route.name, upstream),
      finished: (forwarding) => {
        this.#active.delete(forwarding);
        answered(forwarding.client);
      },
      isRecording,
      record: (record) => this.#tell(record),
    });
    byUpstream.set(upstream, lean);
    return lean;
  }

  #deadlinesOf(timeoutMs: number): DeadlineQueue | undefined {
    if (timeoutMs <= 0) return undefined;
    const known = this.#deadlines.get(timeoutMs);
    if (known !== undefined) return known;
    const queue = new DeadlineQueue(timeoutMs);
    this.#deadlines.set(timeoutMs, queue);
    return queue;
  }

  #tell(record: AccessRecord): void {
    try {
      this.#options.record(record);
    } catch (error) {
      this.#options.log.error({ err: error }, "an exchange could not be recorded");
    }
  }
}

function routeOf(head: Http2Head, table: RoutingTable): Route | undefined {
  if (head.routed?.table !== table) {
    head.routed = { table, route: head.refusal === undefined ? table.find(head.headers) : undefined };
  }
  return head.routed.route;
}

/** The head for an upstream: the same block for equal heads that bring their request id. */
function passedBlock(head: Http2Head, requestId: string): HeaderBlock {
  head.passed ??= new HeaderBlock(requestBlock(head.headers, false, new SectionMemo()).flat, head.sensitive);
  if (head.requestId !== undefined) return head.passed;
  return HeaderBlock.extending(head.passed, "x-request-id", requestId);
}
