import { readFields } from "./fields.ts";
import type { BodyFraming } from "./framing.ts";
import { malformed } from "./message-fault.ts";
import { isPersistent, isPlainLength, MessageFields } from "./message-fields.ts";
import type { ScannedSection } from "./section-scanner.ts";

/** The head of a response, with everything about its framing and connection resolved. */
export interface ResponseHead {
  readonly status: number;
  readonly minor: 0 | 1;
  /** Name, value, …, names in lower case; without Transfer-Encoding and a Connection that says close or keep-alive only. */
  readonly fields: string[];
  /** Whether `fields` hold any that concern the connection only. */
  readonly hasConnectionFields: boolean;
  readonly body: BodyFraming;
  /** Whether the server keeps the connection open. */
  readonly isPersistent: boolean;
}

const statusLine = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: |$)/;

/** Reads the head of a response to a request of that method. Throws MessageFault. */
export function readResponseHead(section: ScannedSection, method: string): ResponseHead {
  const { text, marks } = section;
  const line = statusLine.exec(text.substring(0, marks[0] ?? 0));
  if (line === null) throw malformed("the status line is not 'HTTP/1.1 status reason'");
  const minor = line[1] === "1" ? 1 : 0;
  const status = Number(line[2]);
  const message = new MessageFields();
  readFields(section, (marks[0] ?? 0) + 2, 1, (name, value) => {
    if (isPlainLength[name.length] === 1) message.keep(name, value);
    else message.take(name, value);
  });
  const body = message.framing.resolve(minor);
  const persistent = isPersistent(message.connection, minor);
  const isEmpty = method === "HEAD" || status < 200 || status === 204 || status === 304;
  return {
    status,
    minor,
    fields: message.kept,
    hasConnectionFields: message.hasConnectionFields,
    body: isEmpty ? 0 : (body ?? "until-close"),
    isPersistent: persistent && (isEmpty || body !== undefined),
  };
}
