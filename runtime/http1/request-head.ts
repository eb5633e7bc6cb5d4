import { readFields } from "./fields.ts";
import { MessageFault, malformed } from "./message-fault.ts";
import { isPersistent, isPlainLength, MessageFields } from "./message-fields.ts";
import { isToken } from "./octets.ts";
import type { ScannedSection } from "./section-scanner.ts";

/** The head of a request, with everything about its framing and connection resolved. */
export interface RequestHead {
  readonly method: string;
  /** Of the version, HTTP/1.0 or HTTP/1.1. */
  readonly minor: 0 | 1;
  /** Host, or the host of a target in absolute form, which wins; empty when HTTP/1.0 named none. */
  readonly authority: string;
  /** Path and query as sent, or `*`. */
  readonly path: string;
  /**
   * Name, value, name, value, …, names in lower case; without Host, Expect, Transfer-Encoding, and a Connection that says
   * close or keep-alive only.
   */
  readonly fields: string[];
  /** Whether `fields` hold any that concern the connection only, Connection with other options among them. */
  readonly hasConnectionFields: boolean;
  readonly body: number | "chunked";
  /** Whether the client wants another request on the connection. */
  readonly isPersistent: boolean;
  /** Whether the client waits for 100 Continue before it sends the body. */
  readonly expectsContinue: boolean;
}

const versionBytes = " HTTP/1.1".length;
const anyVersion = /^ HTTP\/\d\.\d$/;
const originForm = /^\/[\x21\x22\x24-\x7e]*$/;
const absoluteForm = /^https?:\/\/([^/?#]*)([/?][^#]*)?$/i;
const hostAndPort = /^(?:[A-Za-z0-9\-._~%!$&'()*+,;=]*|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/;

/** The part of a request line that could be read, for the access log. */
export interface RequestLine {
  readonly method: string;
  readonly target: string;
  readonly minor: 0 | 1;
}

/** Reads the first line of a head. Throws MessageFault. */
export function readRequestLine({ text, marks }: ScannedSection, maxMethodBytes: number): RequestLine {
  const start = text.startsWith("\r\n") ? 2 : 0;
  const end = marks[0] ?? 0;
  const methodEnd = text.indexOf(" ", start);
  const targetEnd = end - versionBytes;
  const version = text.substring(Math.max(start, targetEnd), end);
  const isCurrent = version === " HTTP/1.1";
  if (methodEnd <= start || targetEnd <= methodEnd || !(isCurrent || anyVersion.test(version))) {
    throw malformed("the request line is not 'METHOD target HTTP/1.1'");
  }
  const method = text.substring(start, methodEnd);
  const target = text.substring(methodEnd + 1, targetEnd);
  if (!isToken(method)) throw malformed("the method is not a token");
  if (method.length > maxMethodBytes) {
    throw new MessageFault(501, "method_too_long", `the method is longer than ${maxMethodBytes} bytes`);
  }
  if (!isCurrent && version !== " HTTP/1.0") {
    throw new MessageFault(505, "version_refused", "the version of HTTP is neither 1.1 nor 1.0");
  }
  return { method, target, minor: isCurrent ? 1 : 0 };
}

/** Reads the fields of a head whose first line is known. Throws MessageFault where a request leaves room for two readings. */
export function readRequestHead(section: ScannedSection, line: RequestLine): RequestHead {
  if (line.method === "CONNECT") throw new MessageFault(501, "connect_refused", "CONNECT is not supported");
  const target = readTarget(line);
  const message = new MessageFields();
  let hosts = 0;
  let host = "";
  let expectation = "";
  readFields(section, (section.marks[0] ?? 0) + 2, 1, (name, value) => {
    if (isPlainLength[name.length] === 1) message.keep(name, value);
    else if (name === "host") {
      hosts += 1;
      host = value;
    } else if (name === "expect") expectation = expectation === "" ? value : `${expectation}, ${value}`;
    else message.take(name, value);
  });
  if (hosts > 1) throw malformed("the request has more than one Host");
  if (hosts === 0 && line.minor === 1) throw malformed("the request has no Host");
  if (!hostAndPort.test(host)) throw malformed("the request's Host is not a host");
  const expectsContinue = expectation.toLowerCase() === "100-continue";
  if (expectation !== "" && !expectsContinue) {
    throw new MessageFault(417, "expectation_refused", "the only expectation that can be met is 100-continue");
  }
  return {
    method: line.method,
    minor: line.minor,
    authority: target.authority ?? host,
    path: target.path,
    fields: message.kept,
    hasConnectionFields: message.hasConnectionFields,
    body: message.framing.resolve(line.minor) ?? 0,
    isPersistent: isPersistent(message.connection, line.minor),
    expectsContinue: expectsContinue && line.minor === 1,
  };
}

/** Origin form, absolute form, or `*` of OPTIONS (RFC 9112, section 3.2); paths stay as they are. */
function readTarget({ method, target }: RequestLine): { path: string; authority?: string } {
  if (originForm.test(target)) return { path: target };
  if (target === "*" && method === "OPTIONS") return { path: target };
  const absolute = absoluteForm.exec(target);
  const authority = absolute?.[1] ?? "";
  if (authority === "" || !hostAndPort.test(authority)) throw malformed("the request target is not a path");
  const rest = absolute?.[2] ?? "/";
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  if (!originForm.test(path)) throw malformed("the request target is not a path");
  return { path, authority };
}
