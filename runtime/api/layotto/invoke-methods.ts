import type { CallContext } from "../../../components/component.ts";
import { RuntimeError } from "../../../components/error.ts";
import { type RuntimeService, HTTPExtension_Verb as Verb } from "../../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { HandlersOf } from "../../grpc/service.ts";
import type { InvokeBlock, InvokeVerb } from "../invoke.ts";

/** The invocation method of Layotto's service; metadata travels with the call, and back with the response. */
export function invokeMethods(block: InvokeBlock) {
  return {
    async invokeService({ id, message }, call) {
      if (message === undefined || message.method === "") {
        const text = `nothing says what to invoke on '${id}'; give message.method, a path or /package.Service/Method`;
        throw new RuntimeError("INVALID_ARGUMENT", "METHOD_MISSING", text);
      }
      const { method, data, contentType, httpExtension } = message;
      const request = {
        id,
        method,
        verb: verbOf(httpExtension?.verb ?? Verb.NONE),
        querystring: httpExtension?.querystring ?? "",
        contentType,
        data: data?.value ?? new Uint8Array(),
        metadata: metadataOf(call),
      };
      const reply = await block.invoke(request, call);
      call.sendMetadata?.(reply.metadata);
      return { data: { typeUrl: "", value: reply.data }, contentType: reply.contentType };
    },
  } satisfies HandlersOf<RuntimeService>;
}

const verbs: Readonly<Record<number, InvokeVerb>> = {
  [Verb.GET]: "GET",
  [Verb.HEAD]: "HEAD",
  [Verb.POST]: "POST",
  [Verb.PUT]: "PUT",
  [Verb.DELETE]: "DELETE",
  [Verb.OPTIONS]: "OPTIONS",
  [Verb.TRACE]: "TRACE",
  [Verb.PATCH]: "PATCH",
};

function verbOf(verb: number): InvokeVerb | undefined {
  if (verb === Verb.NONE) return undefined;
  const known = verbs[verb];
  if (known !== undefined) return known;
  const message = `the HTTP verb ${verb === Verb.CONNECT ? "CONNECT" : `of number ${verb}`} cannot be used to invoke; there are ${Object.values(verbs).join(", ")}`;
  throw new RuntimeError("INVALID_ARGUMENT", "VERB_INVALID", message);
}

function metadataOf({ metadata = [], traceparent }: CallContext): NonNullable<CallContext["metadata"]> {
  const traced = traceparent === undefined || metadata.some(([name]) => name === "traceparent");
  return traced ? metadata : [...metadata, ["traceparent", traceparent]];
}
