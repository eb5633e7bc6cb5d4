/** Services as the runtime writes them, whatever transport serves them: a request and a CallContext in, a response out. */
import type { CallContext } from "../../components/component.ts";

/** A method as the generated code describes it, whatever its messages are. */
export interface MethodDefinition {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  requestDeserialize(bytes: Buffer): unknown;
  responseSerialize(response: unknown): Buffer;
}

/** The methods of a service by their names in the generated code. */
export type ServiceDefinition = Readonly<Record<string, MethodDefinition>>;

/** Resolves to the response; rejects with RuntimeError for anything the caller should be told. */
export type UnaryHandler<Q, R> = (request: Q, call: CallContext) => Promise<R>;

export interface ResponseStream<R> {
  readonly call: CallContext;
  /** Resolves when the transport takes more (back-pressure); rejects when the call is over. */
  write(response: R): Promise<void>;
  /** Aborts when the server begins to drain, with the error that a stream without an end of its own should end with. */
  readonly draining: AbortSignal;
}

export interface BidiStream<Q, R> extends ResponseStream<R> {
  /** Ends when the client half-closes; throws when the call is cancelled. */
  readonly requests: AsyncIterable<Q>;
}

export type ServerStreamHandler<Q, R> = (request: Q, stream: ResponseStream<R>) => Promise<void>;
export type ClientStreamHandler<Q, R> = (requests: AsyncIterable<Q>, call: CallContext) => Promise<R>;
/** The call ends with status OK when the promise resolves. */
export type BidiHandler<Q, R> = (stream: BidiStream<Q, R>) => Promise<void>;

type Streaming<Method, Unary, ServerStream, ClientStream, Bidi> = Method extends { requestStream: true }
  ? Method extends { responseStream: true }
    ? Bidi
    : ClientStream
  : Method extends { responseStream: true }
    ? ServerStream
    : Unary;

type HandlerOf<Method> = Method extends {
  requestDeserialize: (bytes: never) => infer Q;
  responseDeserialize: (bytes: never) => infer R;
}
  ? Streaming<Method, UnaryHandler<Q, R>, ServerStreamHandler<Q, R>, ClientStreamHandler<Q, R>, BidiHandler<Q, R>>
  : never;

/** Handlers by the keys of the definition, each with the types of its method. */
export type HandlersOf<Definition> = { readonly [Method in keyof Definition]?: HandlerOf<Definition[Method]> };

/** A handler whose types the definition has checked. */
export type Handler =
  | { readonly kind: "unary"; readonly handle: UnaryHandler<unknown, unknown> }
  | { readonly kind: "server-stream"; readonly handle: ServerStreamHandler<unknown, unknown> }
  | { readonly kind: "client-stream"; readonly handle: ClientStreamHandler<unknown, unknown> }
  | { readonly kind: "bidi"; readonly handle: BidiHandler<unknown, unknown> };

/** A service and its handlers; a method without one answers UNIMPLEMENTED with a sentence. */
export interface GrpcService {
  readonly definition: ServiceDefinition;
  readonly handlers: Readonly<Record<string, Handler>>;
}

/** Ties handlers to a generated service definition. */
export function defineService<Definition extends ServiceDefinition>(
  definition: Definition,
  handlers: HandlersOf<Definition>,
): GrpcService {
  const byKind: Record<string, Handler> = {};
  for (const [name, handle] of Object.entries(handlers)) {
    const method = definition[name];
    if (method === undefined || typeof handle !== "function") continue;
    byKind[name] = { kind: kindOf(method), handle } as Handler;
  }
  return { definition, handlers: byKind };
}

function kindOf({
  requestStream,
  responseStream,
}: {
  requestStream: boolean;
  responseStream: boolean;
}): Handler["kind"] {
  if (requestStream) return responseStream ? "bidi" : "client-stream";
  return responseStream ? "server-stream" : "unary";
}
