import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import { CallsInFlight } from "./calls-in-flight.ts";
import { type MessageCodec, messageCodec } from "./message-codec.ts";
import type { GrpcService, Handler } from "./service.ts";

/** Unary methods called by name within the process, as plugins call them. */
export interface InProcessCaller {
  /** Whether the full method name (`/package.Service/Method`) exists. */
  has(method: string): boolean;
  /**
   * Takes and gives encoded messages. `authorize` sees the decoded request before the handler and throws to refuse it.
   * Rejects with RuntimeError: UNIMPLEMENTED for an unknown or streaming method, INVALID_ARGUMENT for an undecodable message.
   */
  call(method: string, message: Uint8Array, call: CallContext, authorize: Authorize): Promise<Uint8Array>;
}

export type Authorize = (method: string, request: unknown) => void;

/** `calls` is where they are counted while they run. */
export function inProcessCaller(services: readonly GrpcService[], calls = new CallsInFlight()): InProcessCaller {
  const methods = new Map<string, { readonly codec: MessageCodec; readonly handler: Handler | undefined }>();
  for (const { definition, handlers } of services) {
    for (const [name, method] of Object.entries(definition)) {
      methods.set(method.path, { codec: messageCodec(method), handler: handlers[name] });
    }
  }
  return {
    has: (path) => methods.has(path),
    async call(path, message, call, authorize) {
      const found = methods.get(path);
      if (found?.handler?.kind !== "unary") throw notCallable(path, found);
      const { codec, handler } = found;
      const request = codec.decode(message);
      authorize(path, request);
      call.signal.throwIfAborted();
      const era = calls.began();
      try {
        return codec.encode(await handler.handle(request, call));
      } finally {
        calls.ended(era);
      }
    },
  };
}

function notCallable(path: string, found: { readonly handler: Handler | undefined } | undefined): RuntimeError {
  const streams = found?.handler === undefined ? "is not built yet" : "streams, which plugins cannot do";
  const what = found === undefined ? "does not exist" : streams;
  return new RuntimeError("UNIMPLEMENTED", "METHOD_UNIMPLEMENTED", `the method ${path} ${what}`);
}
