/** Heads and trailers between the form that filters see and the one that HTTP/2 sends (RFC 9113, section 8.2 and 8.3). */

import { isConnectionField } from "../http1/connection-fields.ts";
import { errorCode } from "../http2/error-code.ts";
import { HeaderBlock } from "../http2/header-block.ts";
import type { StreamFault } from "../http2/stream-contract.ts";
import { HeaderList } from "./headers.ts";
import type { SectionMemo } from "./section-memo.ts";

const status = /^1\d\d$/;

/** The fields of a section, for filters to change. */
export function listOf(block: HeaderBlock): HeaderList {
  const list = HeaderList.ofFlat(block.flat);
  list.sensitive = block.sensitive;
  return list;
}

/** The head of a request as it goes on the wire; `host` is the authority of one that has none, as of an HTTP/1.0 client. */
export function requestBlock(headers: HeaderList, endOfStream: boolean, memo: SectionMemo, host = ""): HeaderBlock {
  const { flat } = headers;
  const fields = [":method", "GET", ":scheme", "http", ":path", "/"];
  let authority = host;
  let id: string | undefined;
  const regular: string[] = [];
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    const value = flat[at + 1] ?? "";
    if (name.charCodeAt(0) === 0x3a) {
      if (name === ":method") fields[1] = value;
      else if (name === ":scheme") fields[3] = value;
      else if (name === ":path") fields[5] = value;
      else if (name === ":authority" && value !== "") authority = value;
    } else if (name === "x-request-id" && id === undefined) id = value;
    // What HTTP/2 allows of TE, and gRPC asks for (section 8.2.2).
    else if (isConnectionField(name) ? name === "te" && value === "trailers" : name !== "host") {
      if (!(endOfStream && name === "content-length" && value !== "0")) regular.push(name, value);
    }
  }
  if (authority !== "") fields.push(":authority", authority);
  for (const text of regular) fields.push(text);
  const block = memo.block(fields, headers.sensitive);
  return id === undefined ? block : HeaderBlock.extending(block, "x-request-id", id);
}

/** The head of a response as it goes on the wire. `isEmpty` is one whose body is not only left out, as for HEAD. */
export function responseBlock(headers: HeaderList, isEmpty: boolean, memo: SectionMemo): HeaderBlock {
  const { flat } = headers;
  const code = headers.get(":status") ?? "500";
  const fields = [":status", code];
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    const value = flat[at + 1] ?? "";
    if (name.charCodeAt(0) === 0x3a || isConnectionField(name)) continue;
    if (name === "content-length" && (code === "204" || (isEmpty && value !== "0"))) continue;
    fields.push(name, value);
  }
  return memo.block(fields, headers.sensitive);
}

export function trailerBlock(trailers: HeaderList, memo: SectionMemo): HeaderBlock {
  const { flat } = trailers;
  const fields: string[] = [];
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    if (name.charCodeAt(0) !== 0x3a && !isConnectionField(name)) fields.push(name, flat[at + 1] ?? "");
  }
  return memo.block(fields, trailers.sensitive);
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
