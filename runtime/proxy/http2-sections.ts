/** Heads and trailers between the form that filters see and the one that HTTP/2 sends (RFC 9113, section 8.2 and 8.3). */
import { errorCode } from "../http2/error-code.ts";
import { HeaderBlock } from "../http2/header-block.ts";
import type { StreamFault } from "../http2/stream-contract.ts";
import { HeaderList } from "./headers.ts";
import { isHopByHop } from "./hop-by-hop.ts";

const status = /^1\d\d$/;

/** The fields of a section, for filters to change. */
export function listOf(block: HeaderBlock): HeaderList {
  return HeaderList.ofFlat(block.flat);
}

/** The head of a request as it goes on the wire. */
export function requestBlock(headers: HeaderList, endOfStream: boolean): HeaderBlock {
  const { flat } = headers;
  let method = "GET";
  let scheme = "http";
  let authority = "";
  let path = "/";
  const rest: string[] = [];
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    const value = flat[at + 1] ?? "";
    if (name.charCodeAt(0) !== 0x3a) {
      // What HTTP/2 allows of TE, and gRPC asks for (section 8.2.2).
      if (name === "te" && value === "trailers") rest.push(name, value);
      else if (name !== "host" && !(endOfStream && name === "content-length" && value !== "0")) push(rest, name, value);
    } else if (name === ":method") method = value;
    else if (name === ":scheme") scheme = value;
    else if (name === ":authority") authority = value;
    else if (name === ":path") path = value;
  }
  const pseudo = [":method", method, ":scheme", scheme, ":path", path];
  if (authority !== "") pseudo.push(":authority", authority);
  return new HeaderBlock(pseudo.concat(rest));
}

/** The head of a response as it goes on the wire. `isEmpty` is one whose body is not only left out, as for HEAD. */
export function responseBlock(headers: HeaderList, isEmpty: boolean): HeaderBlock {
  const { flat } = headers;
  const code = headers.get(":status") ?? "500";
  const fields = [":status", code];
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    const value = flat[at + 1] ?? "";
    if (name.charCodeAt(0) === 0x3a) continue;
    if (name === "content-length" && (code === "204" || (isEmpty && value !== "0"))) continue;
    push(fields, name, value);
  }
  return new HeaderBlock(fields);
}

export function trailerBlock(trailers: HeaderList): HeaderBlock {
  const { flat } = trailers;
  const fields: string[] = [];
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    if (name.charCodeAt(0) !== 0x3a) push(fields, name, flat[at + 1] ?? "");
  }
  return new HeaderBlock(fields);
}

/** Whether the head of a response is one that another follows (RFC 9110, section 15.2). */
export function isInterim(block: HeaderBlock): boolean {
  return status.test(block.flat[1] ?? "");
}

/**
 * Whether a reset ends a response that is whole, once its head has come: servers on Node send NO_ERROR ahead of an empty last
 * frame when the end comes late. What is missing of a declared length, or of the trailers of gRPC, the client notices.
 */
export function isOrderlyEnd({ origin, code }: StreamFault): boolean {
  return origin === "peer" && code === errorCode.NO_ERROR;
}

function push(fields: string[], name: string, value: string): void {
  if (!isHopByHop(name)) fields.push(name, value);
}
