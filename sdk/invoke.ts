import { RuntimeService, HTTPExtension_Verb as Verb } from "../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { CallOptions, Channel } from "./channel.ts";
import { contentOf, Value, type Writable } from "./value.ts";

export interface InvokeHttp {
  /** Name of the upstream. */
  readonly id: string;
  /** Default GET, or POST with a body. */
  readonly verb?: "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "TRACE" | "PATCH";
  readonly path: string;
  readonly query?: string | URLSearchParams | Readonly<Record<string, string>>;
  readonly body?: Writable;
  /** Default what the body is: text, bytes or JSON. */
  readonly contentType?: string;
}

export interface InvokeGrpc {
  /** Name of the upstream. */
  readonly id: string;
  /** `/package.Service/Method`. */
  readonly method: string;
  /** The encoded request. */
  readonly message: Uint8Array;
}

/** What a service answered with a 2xx status. */
export interface HttpAnswer {
  readonly contentType: string;
  readonly body: Value;
}

/** Calls to other services, which the runtime finds by id. Without `timeoutMs` they may take 3 seconds. */
export class InvokeClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** An answer other than 2xx rejects with the code of its status and the beginning of its body. */
  async http(request: InvokeHttp, options?: CallOptions): Promise<HttpAnswer> {
    const { id, path, query, body } = request;
    const content = body === undefined ? undefined : contentOf(body);
    const verb = Verb[request.verb ?? (content === undefined ? "GET" : "POST")];
    const message = {
      method: path,
      data: content && { typeUrl: "", value: content.bytes },
      contentType: request.contentType ?? content?.contentType ?? "",
      httpExtension: { verb, querystring: query === undefined ? "" : new URLSearchParams(query).toString() },
    };
    const reply = await this.#channel.unary(RuntimeService.invokeService, { id, message }, options, "unlimited");
    return { contentType: reply.contentType, body: new Value(reply.data?.value ?? new Uint8Array()) };
  }

  /** A unary gRPC call: encoded messages both ways. Rejects with the code that the service answered. */
  async grpc({ id, method, message }: InvokeGrpc, options?: CallOptions): Promise<Uint8Array> {
    const common = { method, data: { typeUrl: "", value: message }, contentType: "", httpExtension: undefined };
    const request = { id, message: common };
    const reply = await this.#channel.unary(RuntimeService.invokeService, request, options, "unlimited");
    return reply.data?.value ?? new Uint8Array();
  }
}
