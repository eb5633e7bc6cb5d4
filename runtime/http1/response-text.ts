import { isConnectionField } from "./connection-fields.ts";
import { statusLine } from "./status-line.ts";

/** What decides how a response is framed, beside its fields. */
export interface ResponseFacts {
  readonly isHead: boolean;
  readonly minor: 0 | 1;
  /** The head is the whole response. */
  readonly isEmpty: boolean;
}

/** The head of a response as it goes on the wire, but for its Date and Connection. */
export interface ResponseText {
  readonly text: string;
  readonly hasDate: boolean;
  readonly framing: "none" | number | "chunked" | "until-close";
}

/** Writes the head of a final response; framing is decided here and nowhere else. Fields that begin with a colon are left out. */
export function responseText(
  status: number,
  fields: readonly string[],
  { isHead, minor, isEmpty }: ResponseFacts,
): ResponseText {
  const isBodiless = isHead || status === 204 || status === 304;
  let text = statusLine(status);
  let length: string | undefined;
  let hasDate = false;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? "";
    const value = fields[at + 1] ?? "";
    if (name.charCodeAt(0) === 0x3a || isConnectionField(name)) continue;
    if (name === "content-length") {
      const isWanted = status !== 204 && (!isEmpty || isBodiless || value === "0");
      if (length !== undefined || !isWanted || !/^\d{1,15}$/.test(value)) continue;
      length = value;
    } else if (name === "date") hasDate = true;
    text += `${name}: ${value}\r\n`;
  }
  if (isBodiless) return { text, hasDate, framing: "none" };
  if (isEmpty) {
    if (length === undefined) text += "content-length: 0\r\n";
    return { text, hasDate, framing: "none" };
  }
  if (length !== undefined) return { text, hasDate, framing: Number(length) };
  if (minor === 0) return { text, hasDate, framing: "until-close" };
  return { text: `${text}transfer-encoding: chunked\r\n`, hasDate, framing: "chunked" };
}

/** Fields as lines, for trailers and interim heads. */
export function fieldLines(fields: readonly string[]): string {
  let text = "";
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? "";
    if (name.charCodeAt(0) !== 0x3a && !isConnectionField(name)) text += `${name}: ${fields[at + 1] ?? ""}\r\n`;
  }
  return text;
}
