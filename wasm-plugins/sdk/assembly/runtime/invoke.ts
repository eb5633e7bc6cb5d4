import { Any } from "../gen/google/protobuf/any";
import {
  CommonInvokeRequest,
  HTTPExtension,
  HTTPExtension_Verb,
  InvokeResponse,
  InvokeServiceRequest,
} from "../gen/spec/proto/runtime/v1/runtime";
import { failure, Result, StatusCode, success } from "../status";
import { decodeText } from "../text";
import { callRuntime } from "./call";

/** What another service answered. */
export class InvokeAnswer {
  constructor(
    readonly bytes: Uint8Array,
    readonly contentType: string,
  ) {}

  /** The body as text. */
  text(): string {
    return decodeText(this.bytes);
  }
}

/** Calls to other services through the runtime, which finds them by id. */
export namespace invoke {
  /** An HTTP request: `verb` such as GET, `path` with its query. What is not 2xx is a failure. */
  export function http(
    id: string, verb: string, path: string, body: Uint8Array = new Uint8Array(0), contentType: string = "",
  ): Result<InvokeAnswer> {
    const number = verbOf(verb);
    if (number == HTTPExtension_Verb.NONE) {
      return failure<InvokeAnswer>(StatusCode.InvalidArgument, "there is no HTTP verb '" + verb + "'");
    }
    const mark = path.indexOf("?");
    const extension = new HTTPExtension();
    extension.verb = number;
    extension.querystring = mark < 0 ? "" : path.substring(mark + 1);
    return send(id, mark < 0 ? path : path.substring(0, mark), body, contentType, extension);
  }

  /** A unary gRPC call: `method` such as `/shop.Billing/Charge`, the message's bytes both ways. */
  export function grpc(id: string, method: string, message: Uint8Array): Result<Uint8Array> {
    const answer = send(id, method, message, "", null);
    return answer.ok ? success(answer.value.bytes) : failure<Uint8Array>(answer.code, answer.message);
  }
}

function send(
  id: string, method: string, body: Uint8Array, contentType: string, extension: HTTPExtension | null,
): Result<InvokeAnswer> {
  const request = new InvokeServiceRequest();
  const message = new CommonInvokeRequest();
  const data = new Any();
  data.value = body;
  message.method = method;
  message.data = data;
  message.contentType = contentType;
  message.httpExtension = extension;
  request.id = id;
  request.message = message;
  const answer = callRuntime<InvokeResponse>("InvokeService", request);
  if (!answer.ok) return failure<InvokeAnswer>(answer.code, answer.message);
  const received = answer.value.data;
  const bytes = received === null ? new Uint8Array(0) : received.value;
  return success(new InvokeAnswer(bytes, answer.value.contentType));
}

function verbOf(verb: string): HTTPExtension_Verb {
  if (verb == "GET") return HTTPExtension_Verb.GET;
  if (verb == "HEAD") return HTTPExtension_Verb.HEAD;
  if (verb == "POST") return HTTPExtension_Verb.POST;
  if (verb == "PUT") return HTTPExtension_Verb.PUT;
  if (verb == "DELETE") return HTTPExtension_Verb.DELETE;
  if (verb == "PATCH") return HTTPExtension_Verb.PATCH;
  if (verb == "OPTIONS") return HTTPExtension_Verb.OPTIONS;
  return HTTPExtension_Verb.NONE;
}
