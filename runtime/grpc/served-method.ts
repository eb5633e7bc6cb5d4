import { RuntimeError } from "../../components/error.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { CallMeter } from "./call-meter.ts";
import type { CallsInFlight } from "./calls-in-flight.ts";
import type { Deadlines } from "./deadlines.ts";
import { type MessageCodec, messageCodec } from "./message-codec.ts";
import type { ServerCall } from "./server-call.ts";
import type { Handler, MethodDefinition } from "./service.ts";

/** What the methods of one server share. */
export interface ServedTogether {
  readonly maxMessageBytes: number;
  readonly appId: string;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly deadlines: Deadlines;
  readonly calls: CallsInFlight;
  /** Aborts when the server begins to drain. */
  readonly draining: AbortSignal;
  /** The open bidirectional streams. */
  readonly conversations: Set<ServerCall>;
}

/** A method as a server has it; without a handler it answers UNIMPLEMENTED with a sentence. */
export class ServedMethod {
  readonly path: string;
  readonly handler: Handler;
  readonly codec: MessageCodec;
  readonly meter: CallMeter;
  readonly together: ServedTogether;
  /** Requests are read as they come. */
  readonly takesStream: boolean;

  constructor(definition: MethodDefinition, handler: Handler | undefined, together: ServedTogether) {
    this.path = definition.path;
    this.handler = handler ?? unimplemented(definition);
    this.codec = messageCodec(definition, together.maxMessageBytes);
    this.meter = new CallMeter(together.metrics, definition.path);
    this.together = together;
    this.takesStream = definition.requestStream;
  }
}

/** What a method without a handler does. */
export function unimplemented({ path, requestStream, responseStream }: MethodDefinition): Handler {
  const refuse = async (): Promise<never> => {
    throw new RuntimeError("UNIMPLEMENTED", "METHOD_UNIMPLEMENTED", `the method ${path} is not built yet`);
  };
  if (requestStream) {
    return responseStream ? { kind: "bidi", handle: refuse } : { kind: "client-stream", handle: refuse };
  }
  return responseStream ? { kind: "server-stream", handle: refuse } : { kind: "unary", handle: refuse };
}
