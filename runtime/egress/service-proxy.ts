import { HeaderBlock } from "../http2/header-block.ts";
import type { Http2Stream, StreamFault, StreamReceiver } from "../http2/stream-contract.ts";
import type { Failure } from "../proxy/exchange.ts";
import { type ForwardedRequest, Forwarding, type ForwardingTerms, type Http2Requester } from "../proxy/forwarding.ts";
import type { HeaderList } from "../proxy/headers.ts";
import { removeHopByHop } from "../proxy/hop-by-hop.ts";
import { listOf, requestBlock } from "../proxy/http2-sections.ts";
import { grpcMessage, isGrpc } from "../proxy/local-reply.ts";
import { SectionMemo } from "../proxy/section-memo.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { type RequestMeter, RequestMeters } from "../telemetry/request-meter.ts";
import { noEndpoint, upstreamFailure } from "./http2-failures.ts";
import { grpcApplication } from "./upstream-settings.ts";
import type { Upstreams } from "./upstreams.ts";

export interface ServiceProxyOptions {
  /** Identity of the application beside this sidecar; calls to it go to its gRPC address. */
  readonly appId: string;
  readonly upstreams: Upstreams;
  readonly metrics: Metrics;
}

/** Metadata that names the application a call is for, as Dapr's clients send it; the first that is there counts. */
const targetNames = ["dapr-callee-app-id", "dapr-app-id"] as const;
const callerName = "dapr-caller-app-id";
const grpcStatus = { UNIMPLEMENTED: "12", UNAVAILABLE: "14" } as const;

/**
 * Takes gRPC calls of services that the runtime does not serve itself, and passes them on to the application that their
 * metadata name, frame by frame.
 */
export class ServiceProxy {
  readonly #options: ServiceProxyOptions;
  readonly #meters: RequestMeters;
  readonly #targets = new Map<string, Target>();

  constructor(options: ServiceProxyOptions) {
    this.#options = options;
    this.#meters = new RequestMeters(options.metrics, {
      requests: {
        name: "outrigger_proxied_calls_total",
        help: "gRPC calls of unknown services that were passed on, by the status of HTTP",
      },
      durations: {
        name: "outrigger_proxied_call_duration_seconds",
        help: "Time from the head of a call that was passed on to the end of its response",
      },
      labels: ["app"],
    });
  }

  /** The result hears the rest of the call; the answer goes to `stream`. */
  handle(path: string, stream: Http2Stream, headers: HeaderBlock, endStream: boolean): StreamReceiver {
    const call = callOf(headers, this.#options.appId);
    const endpoints = call.target === undefined ? undefined : this.#endpointsOf(call.target);
    if (call.refusal !== undefined || call.target === undefined || endpoints === undefined) {
      stream.sendHeaders(call.refusal ?? this.#refusal(path, call.target), true);
      return new Unheard(stream);
    }
    const forwarding = new Forwarding(this.#targetOf(call.target), stream, call, "");
    forwarding.start(endpoints, call.passed, endStream);
    return forwarding;
  }

  #endpointsOf(target: string): Http2Requester | undefined {
    const { upstreams, appId } = this.#options;
    return upstreams.requester(target === appId ? grpcApplication : target);
  }

  /** Why a call goes nowhere. */
  #refusal(path: string, target: string | undefined): HeaderBlock {
    if (target === undefined) {
      const message = `the server does not have the method ${path}; the metadata 'dapr-app-id' would name an application that has it`;
      return trailersOnly("UNIMPLEMENTED", message);
    }
    const { upstreams, appId } = this.#options;
    if (target === appId) return trailersOnly("UNAVAILABLE", "the application has no gRPC address; set app.grpc");
    const protocol = upstreams.protocol(target);
    const message =
      protocol === undefined
        ? `there is no upstream '${target}'; there are ${upstreams.names.join(", ") || "none"}`
        : `upstream '${target}' speaks ${protocol}; a gRPC call needs one that speaks grpc or http2`;
    return trailersOnly("UNAVAILABLE", message);
  }

  #targetOf(name: string): Target {
    const known = this.#targets.get(name);
    if (known !== undefined) return known;
    const target = new Target(name, this.#meters.of(name));
    this.#targets.set(name, target);
    return target;
  }
}

/** What was read of the head of a call; kept with the block, since equal heads come again and again. */
class ProxiedCall implements ForwardedRequest {
  readonly headers: HeaderList;
  readonly method: string;
  readonly isGrpc = true;
  readonly appId: string;
  readonly target: string | undefined;
  readonly refusal: HeaderBlock | undefined;
  /** The head as the application gets it. */
  readonly passed: HeaderBlock;

  constructor(block: HeaderBlock, appId: string) {
    const headers = listOf(block);
    this.headers = headers;
    this.appId = appId;
    this.method = headers.get(":method") ?? "";
    this.refusal = isGrpc(headers) ? (this.method === "POST" ? undefined : notPost) : notGrpc;
    this.target = targetNames.map((name) => headers.get(name)).find((value) => value !== undefined && value !== "");
    removeHopByHop(headers);
    // A call that comes in for the application beside this sidecar tells its caller already.
    if (this.target !== appId || !headers.has(callerName)) headers.set(callerName, appId);
    this.passed = new HeaderBlock(requestBlock(headers, false, new SectionMemo()).flat, block.sensitive);
  }
}

function callOf(block: HeaderBlock, appId: string): ProxiedCall {
  const { note } = block;
  if (note instanceof ProxiedCall && note.appId === appId) return note;
  const call = new ProxiedCall(block, appId);
  block.note = call;
  return call;
}

/** An application that calls are passed on to. */
class Target implements ForwardingTerms<ProxiedCall> {
  readonly maxBodyBytes = Number.POSITIVE_INFINITY;
  readonly deadlines = undefined;
  readonly noEndpoint: Failure;
  readonly #name: string;
  readonly #meter: RequestMeter;

  constructor(name: string, meter: RequestMeter) {
    this.#name = name;
    this.#meter = meter;
    this.noEndpoint = noEndpoint(name);
  }

  failure(fault: StreamFault): Failure {
    return upstreamFailure(this.#name, fault);
  }

  finished({ status, startedMs }: Forwarding<ProxiedCall>): void {
    this.#meter.ended(status === 0 ? 499 : status, performance.now() - startedMs);
  }
}

/** The rest of a call that was refused. */
class Unheard implements StreamReceiver {
  readonly #stream: Http2Stream;

  constructor(stream: Http2Stream) {
    this.#stream = stream;
  }

  headers(): void {
    throw new Error("a request has one head");
  }

  data(): void {
    this.#stream.reset(0);
  }

  trailers(): void {
    // They end the call.
  }

  fault(): void {
    // The caller has gone.
  }

  drained(): void {
    // The refusal was all there was to send.
  }
}

const notGrpc = HeaderBlock.of(":status", "415", "accept-post", "application/grpc", "content-length", "0");
const notPost = HeaderBlock.of(":status", "405", "allow", "POST", "content-length", "0");

function trailersOnly(status: keyof typeof grpcStatus, message: string): HeaderBlock {
  return HeaderBlock.of(
    ":status",
    "200",
    "content-type",
    "application/grpc",
    "grpc-status",
    grpcStatus[status],
    "grpc-message",
    grpcMessage(message),
  );
}
