import { isConnectionField } from "./connection-fields.ts";

/** What a client sends first: names in lower case and values, alternating; Host and what begins with a colon are left out. */
export interface RequestStart {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly fields: readonly string[];
  /** The head is the whole request. */
  readonly isEmpty: boolean;
}

/** The head of a request as it goes on the wire, and how its body is framed. */
export interface RequestText {
  readonly text: string;
  readonly framing: number | "chunked";
}

/** Writes the head of a request; framing is decided here and nowhere else. */
export function requestText({ method, path, authority, fields, isEmpty }: RequestStart): RequestText {
  let text = `${method} ${path} HTTP/1.1\r\nhost: ${authority}\r\n`;
  let length: string | undefined;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? "";
    const value = fields[at + 1] ?? "";
    if (name.charCodeAt(0) === 0x3a || isConnectionField(name) || name === "host") continue;
    if (name === "content-length") {
      if (length !== undefined || (isEmpty && value !== "0") || !/^\d{1,15}$/.test(value)) continue;
      length = value;
    }
    text += `${name}: ${value}\r\n`;
  }
  if (isEmpty) {
    const expectsBody = method === "POST" || method === "PUT" || method === "PATCH";
    return {
      text: length === undefined && expectsBody ? `${text}content-length: 0\r\n\r\n` : `${text}\r\n`,
      framing: 0,
    };
  }
  if (length !== undefined) return { text: `${text}\r\n`, framing: Number(length) };
  return { text: `${text}transfer-encoding: chunked\r\n\r\n`, framing: "chunked" };
}
