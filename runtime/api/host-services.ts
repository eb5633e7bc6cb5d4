import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import { httpStatusOf } from "../../components/http-status.ts";
import {
  GetStateRequest,
  GetStateResponse,
  InvokeResponse,
  InvokeServiceRequest,
} from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { refusedStream } from "../grpc/client.ts";
import { statusCodeOf } from "../grpc/status.ts";
import type { Caller, GuestLogLevel, HostServices } from "../plugin/contract.ts";
import type { PluginMetrics } from "../plugin/guest-metrics.ts";
import type {
  GrpcReply,
  GrpcRequest,
  GrpcStream,
  GrpcStreamReceiver,
  GrpcStreamRequest,
  HttpMessage,
} from "../plugin/outside-calls.ts";
import type { SharedData, SharedQueues } from "../plugin/sharing.ts";
import type { UniformApi } from "../plugin/uniform-api.ts";
import type { Log } from "../telemetry/log.ts";
import { toldToGuest } from "./guest-error.ts";
import type { InvokeTargets } from "./invoke.ts";
import { processProperty } from "./process-properties.ts";

/** The upstream name that means the runtime itself, in process. It cannot be configured or routed to. */
export const runtimeUpstream = "outrigger";

/** Methods of the runtime as one plugin may call them: grants are checked behind `call`. */
export interface GuestMethods {
  /** Whether the full method name (`/package.Service/Method`) exists. */
  has(method: string): boolean;
  /** Takes and gives encoded messages; rejects with RuntimeError. */
  call(method: string, message: Uint8Array, call: CallContext): Promise<Uint8Array>;
}

/** Where the calls of plugins go. */
export interface GuestTargets extends InvokeTargets {
  /** Never throws: the receiver hears of failures, though never within this. */
  grpcStream(upstream: string, request: GrpcStreamRequest, receiver: GrpcStreamReceiver, caller: Caller): GrpcStream;
}

/** One plugin, and all that its grants let it reach. */
export interface GuestAccess {
  readonly plugin: string;
  readonly version: string;
  readonly appId: string;
  /** Names of upstreams that were granted. */
  readonly upstreams: readonly string[];
  readonly methods: GuestMethods;
  readonly calls: GuestTargets;
  readonly metrics: PluginMetrics;
  readonly sharedData: SharedData;
  readonly sharedQueues: SharedQueues;
  /** The building blocks under the plugin's grants. */
  readonly api: UniformApi;
  readonly log: Log;
  /** Whether a line may be written; told later how many were left out, and how many a second are not. Default all. */
  readonly mayLog?: (leftOut: (lines: number, linesPerSecond: number) => void) => boolean;
  /** Told of each line that the plugin logs; default nobody. */
  readonly logged?: (level: GuestLogLevel, message: string) => void;
}

const noBytes = new Uint8Array();

/** What an engine hands to its guests, for one plugin. */
export function hostServices(access: GuestAccess): HostServices {
  const log = access.log.child({ plugin: access.plugin, version: access.version });
  const isGranted = (name: string): boolean => access.upstreams.includes(name) && access.calls.names().includes(name);
  const callerIn = (caller: Caller | undefined): Caller => ({ plugin: access.plugin, caller });
  const context = (signal: AbortSignal, metadata: Pairs, caller?: Caller): CallContext => {
    const traceparent = firstValue(metadata, "traceparent");
    return {
      signal,
      peer: { address: `plugin:${access.plugin}`, identity: access.plugin },
      caller: callerIn(caller),
      appId: access.appId,
      log,
      metadata: metadata.filter(([name]) => !name.startsWith(":")),
      ...(traceparent === undefined ? {} : { traceparent }),
    };
  };
  const leftOut = (lines: number, linesPerSecond: number): void => {
    const message = `${lines} lines of plugin '${access.plugin}' were left out: it may log ${linesPerSecond} in a second`;
    log.warn({ lines }, message);
    access.logged?.("warn", message);
  };
  return {
    log: (level, message) => {
      if (!log.isLevelEnabled(levels[level]) || access.mayLog?.(leftOut) === false) return;
      log[levels[level]]({ source: "guest" }, message);
      access.logged?.(level, message);
    },
    get logLevel() {
      return guestLevelOf(log.level);
    },
    metrics: access.metrics,
    sharedData: access.sharedData,
    sharedQueues: access.sharedQueues,
    hasUpstream: (name) => name === runtimeUpstream || isGranted(name),
    hasMethod: (method) => access.methods.has(method),
    getState: async (storeName, key, metadata, signal) => {
      const request = GetStateRequest.encode(GetStateRequest.fromPartial({ storeName, key })).finish();
      return GetStateResponse.decode(await callMethod(access, "GetState", request, context(signal, metadata))).data;
    },
    invokeService: async (id, method, parameter, metadata, signal, caller) => {
      const message = { method, data: { typeUrl: "", value: parameter } };
      const request = InvokeServiceRequest.encode(InvokeServiceRequest.fromPartial({ id, message })).finish();
      const answer = await callMethod(access, "InvokeService", request, context(signal, metadata, caller));
      return InvokeResponse.decode(answer).data?.value ?? noBytes;
    },
    property: (path) => processProperty(access.appId, path),
    api: access.api,
    httpCall: async (upstream, request, signal, caller) => {
      if (upstream === runtimeUpstream)
        return callOverHttp(access.methods, request, context(signal, request.headers, caller));
      if (!isGranted(upstream)) throw notGranted(access, upstream);
      return access.calls.http(upstream, request, signal, callerIn(caller));
    },
    grpcCall: async (upstream, request, signal, timeoutMs, caller) => {
      if (upstream === runtimeUpstream)
        return callOverGrpc(access.methods, request, context(signal, request.metadata, caller));
      if (!isGranted(upstream)) return failed(notGranted(access, upstream));
      return access.calls.grpc(upstream, request, signal, timeoutMs, callerIn(caller));
    },
    grpcStream: (upstream, request, receiver, caller) => {
      if (upstream === runtimeUpstream) return refusedStream(12, "plugins cannot stream to the runtime", receiver);
      if (!isGranted(upstream)) {
        const { code, message } = notGranted(access, upstream);
        return refusedStream(statusCodeOf(code), message, receiver);
      }
      return access.calls.grpcStream(upstream, request, receiver, callerIn(caller));
    },
  };
}

/** Calls a method of the runtime for the plugin; rejects with RuntimeError that may be told to it. */
async function callMethod(
  { methods }: GuestAccess,
  method: string,
  request: Uint8Array,
  call: CallContext,
): Promise<Uint8Array> {
  try {
    return await methods.call(`/spec.proto.runtime.v1.Runtime/${method}`, request, call);
  } catch (error) {
    throw toldToGuest(error, call);
  }
}

type Pairs = readonly (readonly [name: string, value: string])[];
const firstValue = (pairs: Pairs, name: string): string | undefined => pairs.find(([key]) => key === name)?.[1];

function notGranted({ plugin }: GuestAccess, upstream: string): RuntimeError {
  return new RuntimeError(
    "PERMISSION_DENIED",
    "UPSTREAM_NOT_GRANTED",
    `plugin '${plugin}' was not granted the upstream '${upstream}'; plugins.grants.${plugin}.upstreams grants it`,
  );
}

async function callOverGrpc(methods: GuestMethods, request: GrpcRequest, call: CallContext): Promise<GrpcReply> {
  try {
    const message = await methods.call(`/${request.service}/${request.method}`, request.message, call);
    return { code: 0, details: "", initialMetadata: [], message, trailingMetadata: [] };
  } catch (error) {
    return failed(toldToGuest(error, call));
  }
}

function failed(error: RuntimeError): GrpcReply {
  return { code: statusCodeOf(error.code), details: error.message, initialMetadata: [], trailingMetadata: [] };
}

/**
 * `POST /package.Service/Method` with the encoded message as the body (`content-type: application/proto`), answered in
 * kind: the unary form of the Connect protocol, with the gRPC code and message of a failure as headers.
 */
async function callOverHttp(methods: GuestMethods, request: HttpMessage, call: CallContext): Promise<HttpMessage> {
  const path = firstValue(request.headers, ":path") ?? "";
  if (firstValue(request.headers, ":method") !== "POST" || !methods.has(path)) {
    return answer(
      404,
      [["content-type", "text/plain"]],
      new TextEncoder().encode("expected POST /package.Service/Method of the runtime"),
    );
  }
  try {
    return answer(200, [["content-type", "application/proto"]], await methods.call(path, request.body, call));
  } catch (error) {
    const { code, reason, message } = toldToGuest(error, call);
    const headers: Pairs = [
      ["grpc-status", String(statusCodeOf(code))],
      ["grpc-message", encodeURIComponent(message)],
      ["content-type", "application/json"],
    ];
    return answer(
      httpStatusOf(code),
      headers,
      new TextEncoder().encode(JSON.stringify({ code: code.toLowerCase(), reason, message })),
    );
  }
}

function answer(status: number, headers: Pairs, body: Uint8Array = noBytes): HttpMessage {
  return { headers: [[":status", String(status)], ...headers], body, trailers: [] };
}

const levels = {
  trace: "trace",
  debug: "debug",
  info: "info",
  warn: "warn",
  error: "error",
  critical: "fatal",
} as const satisfies Record<GuestLogLevel, string>;

function guestLevelOf(level: string): GuestLogLevel {
  if (level === "fatal" || level === "silent") return "critical";
  return level in levels ? (level as GuestLogLevel) : "info";
}
