import { isConnectionField } from "../http1/connection-fields.ts";
import type { LocalReply } from "../plugin/contract.ts";
import type { Failure, ResponseSink } from "./exchange.ts";
import { faultOfFields, HeaderList, statusOf } from "./headers.ts";
import type { Stream } from "./stream.ts";

/** The reply that tells a client of a failure: one line of text. */
export function replyTo(failure: Failure): LocalReply {
  return {
    status: failure.status,
    details: failure.details,
    headers: [["content-type", "text/plain; charset=utf-8"]],
    body: Buffer.from(`${failure.message}\n`),
  };
}

/**
 * Head and body of a local reply to this request. A gRPC request gets its error where gRPC looks for it; a text body
 * gets a content type; fields of a plugin that would break the framing are left out.
 */
export function formLocalReply(request: HeaderList, reply: LocalReply): { head: HeaderList; body: Uint8Array } {
  if (isGrpc(request)) return formGrpcReply(reply);
  const head = HeaderList.of([[":status", String(validStatus(reply.status))]]);
  addFields(head, reply.headers);
  if (reply.body.length > 0 && !head.has("content-type")) head.set("content-type", "text/plain");
  if (reply.status !== 204 && reply.status !== 304) head.set("content-length", String(reply.body.length));
  return { head, body: reply.status === 204 || reply.status === 304 ? reply.body.subarray(0, 0) : reply.body };
}

/** Sends a local reply to the client past the filters, which the response has entered already; a head that cannot be sent is a bare 500. */
export function sendDirect(stream: Stream, client: ResponseSink, head: HeaderList, body: Uint8Array | undefined): void {
  stream.response = head;
  const broken = head.changed && faultOfFields(head) !== undefined;
  const sent = broken ? HeaderList.of([[":status", "500"]]) : head;
  stream.status = statusOf(sent) ?? 500;
  client.head(sent, body === undefined || broken);
  if (body === undefined || broken) return;
  stream.bytesSent += body.length;
  client.data(body, true);
}

function formGrpcReply(reply: LocalReply): { head: HeaderList; body: Uint8Array } {
  const head = HeaderList.of([[":status", "200"]]);
  addFields(head, reply.headers);
  head.set("content-type", "application/grpc");
  head.set("grpc-status", String(reply.grpcStatus ?? grpcStatusOf(reply.status)));
  const message = grpcMessage(Buffer.from(reply.body).toString("utf8").trim());
  if (message !== "") head.set("grpc-message", message);
  return { head, body: reply.body.subarray(0, 0) };
}

/** Percent-encodes what may not stand in `grpc-message` as it is: all but printable ASCII, and the percent sign. */
export function grpcMessage(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]+/g, (part) => {
    let encoded = "";
    for (const byte of Buffer.from(part)) encoded += `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    return encoded;
  });
}

function addFields(head: HeaderList, fields: LocalReply["headers"]): void {
  for (const [name, value] of fields) {
    const key = name.toLowerCase();
    if (key !== "content-length" && !key.startsWith(":") && !isConnectionField(key)) head.add(key, value);
  }
}

/** Whether the request is a call of gRPC. */
export function isGrpc(request: HeaderList): boolean {
  return /^application\/grpc(\+|;|$)/.test(request.get("content-type") ?? "");
}

function validStatus(status: number): number {
  return Number.isInteger(status) && status >= 200 && status <= 599 ? status : 500;
}

/** https://grpc.github.io/grpc/core/md_doc_http-grpc-status-mapping.html */
function grpcStatusOf(status: number): number {
  switch (status) {
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}
