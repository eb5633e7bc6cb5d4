import {
  type CallOptions,
  type Client,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  credentials,
  type Metadata,
  makeGenericClientConstructor,
  type ServiceDefinition,
  type ServiceError,
} from "@grpc/grpc-js";

type Done<R> = (error: ServiceError | null, response: R) => void;

interface UnaryMethod<Q, R> {
  (request: Q, done: Done<R>): ClientUnaryCall;
  (request: Q, metadata: Metadata, done: Done<R>): ClientUnaryCall;
  (request: Q, metadata: Metadata, options: Partial<CallOptions>, done: Done<R>): ClientUnaryCall;
}

type MethodOf<Method> = Method extends {
  requestDeserialize: (bytes: never) => infer Q;
  responseDeserialize: (bytes: never) => infer R;
}
  ? Method extends { requestStream: true; responseStream: true }
    ? (metadata?: Metadata, options?: Partial<CallOptions>) => ClientDuplexStream<Q, R>
    : Method extends { requestStream: true }
      ? (done: Done<R>) => ClientWritableStream<Q>
      : Method extends { responseStream: true }
        ? (request: Q, metadata?: Metadata, options?: Partial<CallOptions>) => ClientReadableStream<R>
        : UnaryMethod<Q, R>
  : never;

/** A client of grpc-js with a method for each of the definition. */
export type ServiceClient<Definition> = Client & {
  readonly [Name in keyof Definition]: MethodOf<Definition[Name]>;
};

/** grpc-js's client of a generated service, without TLS. */
export function serviceClient<Definition extends ServiceDefinition>(
  definition: Definition,
  address: string,
  options: ClientOptions = {},
): ServiceClient<Definition> {
  const Constructor = makeGenericClientConstructor(definition, "service");
  // grpc-js makes the methods that the definition names.
  return new Constructor(address, credentials.createInsecure(), options) as unknown as ServiceClient<Definition>;
}
