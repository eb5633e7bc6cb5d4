import type { MethodDefinition } from "@grpc/grpc-js";
import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
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

export function inProcessCaller(services: readonly GrpcService[]): InProcessCaller {
  const methods = new Map<
    string,
    { readonly method: MethodDefinition<unknown, unknown>; readonly handler: Handler | undefined }
  >();
  for (const { definition, handlers } of services) {
    for (const [name, method] of Object.entries(definition))
      methods.set(method.path, { method, handler: handlers[name] });
  }
  return {
    has: (path) => methods.has(path),
    async call(path, message, call, authorize) {
      const found = methods.get(path);
      if (found?.handler?.kind !== "unary") {
        const what =
          found === undefined
            ? "does not exist"
            : found.handler === undefined
              ? "is not built yet"
              : "streams, which plugins cannot do";
        throw new RuntimeError("UNIMPLEMENTED", "METHOD_UNIMPLEMENTED", `the method ${path} ${what}`);
      }
      const { method, handler } = found;
      const request = decode(method, message);
      authorize(path, request);
      call.signal.throwIfAborted();
      return method.responseSerialize(await handler.handle(request, call));
    },
  };
}

function decode(method: MethodDefinition<unknown, unknown>, message: Uint8Array): unknown {
  try {
    return method.requestDeserialize(Buffer.from(message.buffer, message.byteOffset, message.byteLength));
  } catch (cause) {
    throw new RuntimeError("INVALID_ARGUMENT", "MESSAGE_MALFORMED", `the message is not a request of ${method.path}`, {
      cause,
    });
  }
}
