/** RFC 9113, section 8: which messages a server takes and which are malformed. */
import { describe } from "node:test";
import { frameFlag, frameType } from "../../../runtime/http2/frame.ts";
import {
  data,
  endData,
  type Fields,
  frame,
  getFields,
  headers,
  literals,
  openPost,
  postFields,
  uint32,
} from "../../support/http2-frames.ts";
import { type Case, cases } from "./outcome.ts";

const field = (name: string, value: string): Fields => [[name, value]];
const without = (name: string): Fields => getFields.filter(([own]) => own !== name);
const withValue = (name: string, value: string): Fields =>
  getFields.map((one) => (one[0] === name ? ([name, value] as const) : one));

const malformed = (name: string, fields: Fields): Case => ({
  name,
  send: [headers(1, fields), headers(3)],
  comes: { reset: "PROTOCOL_ERROR", on: 1 },
});
const taken = (name: string, fields: Fields): Case => ({ name, send: [headers(1, fields)], comes: { answered: 1 } });

describe("8.1 the exchange of messages", () => {
  cases([
    taken("takes GET", getFields),
    taken("takes HEAD", withValue(":method", "HEAD")),
    { name: "takes POST", send: [openPost(1), endData(1)], comes: { answered: 1 } },
    { name: "takes trailers", send: [openPost(1), data(1), headers(1, field("x-sum", "1"))], comes: { answered: 1 } },
    {
      name: "takes trailers without a body before them",
      send: [openPost(1), headers(1, field("x-sum", "1"))],
      comes: { answered: 1 },
    },
    {
      name: "refuses a second head that does not end the stream",
      send: [openPost(1), headers(1, field("x-sum", "1"), frameFlag.END_HEADERS)],
      comes: { reset: "PROTOCOL_ERROR", on: 1 },
    },
  ]);
});

describe("8.1.1 content-length", () => {
  const announcing = (bytes: string): Buffer => openPost(1, [...postFields, ["content-length", bytes]]);
  const wrong = { reset: "PROTOCOL_ERROR", on: 1 } as const;
  cases([
    { name: "may be what comes", send: [announcing("8"), data(1), endData(1)], comes: { answered: 1 } },
    { name: "is not less than what comes", send: [announcing("1"), endData(1, "test")], comes: wrong },
    {
      name: "is not less than what comes in several frames",
      send: [announcing("1"), data(1), endData(1)],
      comes: wrong,
    },
    { name: "is not more than what comes", send: [announcing("9"), data(1), endData(1)], comes: wrong },
    {
      name: "is not more than what comes before trailers",
      send: [announcing("9"), data(1), headers(1, field("x-sum", "1"))],
      comes: wrong,
    },
    {
      name: "does not count padding",
      send: [announcing("4"), frame(frameType.DATA, 0x9, 1, Buffer.from("\x03body\0\0\0"))],
      comes: { answered: 1 },
    },
    malformed("is 0 without a body", [...getFields, ["content-length", "1"]]),
    taken("may be 0 without a body", [...getFields, ["content-length", "0"]]),
    malformed("is a number", [...getFields, ["content-length", "-1"]]),
    malformed("is nothing but a number", [...getFields, ["content-length", "0x0"]]),
    malformed("is not two numbers", [...getFields, ["content-length", "0"], ["content-length", "1"]]),
    taken("may come twice alike", [...getFields, ["content-length", "0"], ["content-length", "0"]]),
  ]);
});

describe("8.2 fields", () => {
  const badNames = ["X-Test", "x test", "x:test", "x\u0000", "x\u00e9", "", "x\r\ny", "x\u007f", "x\u0001"];
  const badValues = ["a\rb", "a\nb", "a\r\nb: c", "a\u0000b", " a", "a ", "\ta", "a\t"];
  const ofHttp1 = ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"];
  cases([
    ...badNames.map((name) => malformed(`are not named ${JSON.stringify(name)}`, [...getFields, [name, "v"]])),
    ...badValues.map((value) => malformed(`are not ${JSON.stringify(value)}`, [...getFields, ["x-test", value]])),
    ...badValues.map((value) => malformed(`of control are not ${JSON.stringify(value)}`, withValue(":path", value))),
    ...ofHttp1.map((name) => malformed(`are not those of HTTP/1.1: ${name}`, [...getFields, [name, "v"]])),
    malformed("have no 'te' but trailers", [...getFields, ["te", "trailers, deflate;q=0.5"]]),
    taken("may have 'te: trailers'", [...getFields, ["te", "trailers"]]),
    taken("may be empty", [...getFields, ["x-test", ""]]),
    taken("may hold octets above 127 and blanks within", [...getFields, ["x-test", "\u00e9 \t\u00ff"]]),
    {
      name: "of trailers are as strict",
      send: [openPost(1), headers(1, field("X-Sum", "1"))],
      comes: { reset: "PROTOCOL_ERROR", on: 1 },
    },
  ]);
});

describe("8.3 pseudo-header fields", () => {
  const names = [":method", ":scheme", ":path"];
  cases([
    malformed("are known", [...getFields, [":test", "v"]]),
    malformed("of responses are not for requests", [...getFields, [":status", "200"]]),
    malformed("for extended CONNECT are not taken, as it was not announced", [
      ...getFields,
      [":protocol", "websocket"],
    ]),
    {
      name: "are not for trailers",
      send: [openPost(1), data(1), headers(1, [[":method", "GET"]])],
      comes: { reset: "PROTOCOL_ERROR", on: 1 },
    },
    malformed("come before regular fields", [["x-test", "1"], ...getFields]),
    malformed("come all before regular fields", [...without(":path"), ["x-test", "1"], [":path", "/"]]),
    ...names.map((name) => malformed(`are not left out: ${name}`, without(name))),
    ...[...names, ":authority"].map((name) =>
      malformed(`come once: ${name}`, [...getFields, ...getFields.filter(([own]) => own === name)]),
    ),
    taken("may leave ':authority' out", without(":authority")),
    malformed("have a path", withValue(":path", "")),
    malformed("have a path that begins with a slash", withValue(":path", "http://elsewhere/")),
    malformed("have a path without blanks, which HTTP/1.1 could not carry", withValue(":path", "/a b")),
    taken("may have the path '*' with OPTIONS", [[":method", "OPTIONS"], ...withValue(":path", "*").slice(1)]),
    malformed("have a method that is a token", withValue(":method", "GET / HTTP/1.1")),
    malformed("have an authority without blanks", withValue(":authority", "a b")),
    malformed("have an authority without user", withValue(":authority", "user@host")),
    malformed("have a scheme that is one", withValue(":scheme", "http /")),
  ]);
});

describe("8.5 CONNECT", () => {
  const connectFields: Fields = [
    [":method", "CONNECT"],
    [":authority", "localhost:80"],
  ];
  cases([
    { name: "names an authority alone", send: [headers(1, connectFields)], comes: { answered: 1 } },
    malformed("has no path", [...connectFields, [":path", "/"]]),
    malformed("has no scheme", [...connectFields, [":scheme", "http"]]),
    malformed("needs an authority", connectFields.slice(0, 1)),
  ]);
});

describe("8.4 server push", () => {
  cases([
    {
      name: "is not for clients",
      send: [openPost(1), frame(frameType.PUSH_PROMISE, 4, 1, Buffer.concat([uint32(2), literals(getFields)]))],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
  ]);
});
