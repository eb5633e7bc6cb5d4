import { decode, ProtoMessage, Response } from "@outrigger/plugin";
import {
  GetBulkSecretResponse,
  GetNextIdResponse,
  InvokeServiceRequest,
  SaveStateRequest,
  SubscribeTopicEventsRequest,
  TopicEventRequest,
} from "@outrigger/plugin/assembly/gen/spec/proto/runtime/v1/runtime";

/** Reads the bytes as a message and writes it again. */
export function echo(message: string, bytes: Uint8Array): Response {
  if (message == "SaveStateRequest") return again<SaveStateRequest>(bytes);
  if (message == "InvokeServiceRequest") return again<InvokeServiceRequest>(bytes);
  if (message == "GetNextIdResponse") return again<GetNextIdResponse>(bytes);
  if (message == "GetBulkSecretResponse") return again<GetBulkSecretResponse>(bytes);
  if (message == "SubscribeTopicEventsRequest") return again<SubscribeTopicEventsRequest>(bytes);
  if (message == "TopicEventRequest") return again<TopicEventRequest>(bytes);
  return Response.text(404, "no message " + message);
}

function again<M extends ProtoMessage>(bytes: Uint8Array): Response {
  const read = decode<M>(bytes);
  return read.ok ? new Response(200, read.value.encode()) : Response.text(400, read.toString());
}
