import { noEndpoint, upstreamFailure } from "../egress/http2-failures.ts";
import type { StreamFault } from "../http2/stream-contract.ts";
import type { DeadlineQueue } from "../proxy/deadline-queue.ts";
import type { Failure } from "../proxy/exchange.ts";
import type { Forwarding, ForwardingTerms } from "../proxy/forwarding.ts";
import type { AccessRecord } from "../telemetry/access-log.ts";
import type { RequestMeter } from "../telemetry/request-meter.ts";
import type { Http2Head } from "./http2-head.ts";

export interface LeanRouteOptions {
  readonly route: string;
  readonly upstream: string;
  readonly maxBodyBytes: number | undefined;
  readonly deadlines: DeadlineQueue | undefined;
  readonly meter: RequestMeter;
  readonly finished: (forwarding: Forwarding<Http2Head>) => void;
  readonly isRecording: () => boolean;
  readonly record: (record: AccessRecord) => void;
}

/** A route without filters to an upstream over HTTP/2: what the streams that are forwarded on it have in common. */
export class LeanRoute implements ForwardingTerms<Http2Head> {
  readonly maxBodyBytes: number;
  readonly deadlines: DeadlineQueue | undefined;
  readonly noEndpoint: Failure;
  readonly #options: LeanRouteOptions;

  constructor(options: LeanRouteOptions) {
    this.#options = options;
    this.maxBodyBytes = options.maxBodyBytes ?? Number.POSITIVE_INFINITY;
    this.deadlines = options.deadlines;
    this.noEndpoint = noEndpoint(options.upstream);
  }

  failure(fault: StreamFault): Failure {
    return upstreamFailure(this.#options.upstream, fault);
  }

  finished(forwarding: Forwarding<Http2Head>): void {
    const { meter, finished, isRecording, record } = this.#options;
    const durationMs = performance.now() - forwarding.startedMs;
    meter.ended(statusOf(forwarding), durationMs);
    finished(forwarding);
    if (isRecording()) record(this.#recordOf(forwarding, durationMs));
  }

  #recordOf(forwarding: Forwarding<Http2Head>, durationMs: number): AccessRecord {
    const { request, flag } = forwarding;
    const { connection, userAgent } = request;
    return {
      startedAtMs: Date.now() - durationMs,
      durationMs,
      protocol: connection.protocol,
      method: request.method,
      path: request.path,
      authority: request.authority,
      route: this.#options.route,
      status: statusOf(forwarding),
      details: forwarding.details,
      flags: flag === undefined ? [] : [flag],
      bytesReceived: forwarding.bytesReceived,
      bytesSent: forwarding.bytesSent,
      upstream: this.#options.upstream,
      endpoint: forwarding.upstream?.connection.remoteAddress || undefined,
      peer: connection.peer,
      requestId: forwarding.requestId,
      userAgent,
    };
  }
}

const statusOf = ({ status, flag }: Forwarding<Http2Head>): number => (status === 0 && flag === "DC" ? 499 : status);
