/** RFC 9113, sections 3 to 7: what a server does with each frame, well-formed and not. */
import { describe } from "node:test";
import { frameFlag, frameType, preface } from "../../../runtime/http2/frame.ts";
import {
  continuation,
  data,
  endData,
  frame,
  getFields,
  goAway,
  headers,
  literals,
  opening,
  openPost,
  ping,
  priority,
  rstStream,
  settings,
  settingsAck,
  uint32,
  windowUpdate,
} from "../../support/http2-frames.ts";
import { cases } from "./outcome.ts";

const { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE } = frameType;
const { END_STREAM, END_HEADERS, ACK, PADDED } = frameFlag;
const [methodField, schemeField, ...restFields] = getFields;
const firstHalf = literals(methodField === undefined || schemeField === undefined ? [] : [methodField, schemeField]);
const secondHalf = literals(restFields);
const waitFields = getFields.map(([name, value]) =>
  name === ":path" ? ([name, "/wait"] as const) : ([name, value] as const),
);
const padded = (length: number, payload: Buffer, padding = length): Buffer =>
  Buffer.concat([Buffer.of(length), payload, Buffer.alloc(padding)]);
const unknownFrame = frame(0xbb, 0xff, 0, Buffer.from("whatever"));
/** A METADATA frame that is whole by itself: an extension that some proxies speak. */
const metadata = (streamId: number): Buffer => frame(0x4d, 0x4, streamId, literals([["x-note", "1"]]));
/** A request that stays half-closed (remote): it is never answered. */
const waiting = headers(1, waitFields);
/** A request whose body goes on and which is never answered. */
const open = openPost(1, [[":method", "POST"], ...waitFields.slice(1)]);

describe("3.4 the preface", () => {
  cases([
    { name: "is answered", send: [headers(1)], comes: { answered: 1 } },
    {
      name: "must be the one of HTTP/2",
      begin: Buffer.from("INVALID PREFACE\r\n\r\n0000"),
      send: [],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
    {
      name: "is refused at its first wrong octet",
      begin: Buffer.from("G"),
      send: [],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
    { name: "must be followed by SETTINGS", begin: preface, send: [ping()], comes: { goAway: "PROTOCOL_ERROR" } },
    {
      name: "is not followed by an acknowledgement alone",
      begin: preface,
      send: [settingsAck],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
    {
      name: "may be followed by requests at once",
      begin: Buffer.concat([opening, headers(1)]),
      send: [],
      comes: { answered: 1 },
    },
  ]);
});

describe("4.1 the form of frames", () => {
  cases([
    { name: "lets unknown types pass", send: [unknownFrame, headers(1)], comes: { answered: 1 } },
    {
      name: "lets METADATA pass, of the connection and of a request before its head, in it and after it",
      send: [metadata(0), metadata(1), openPost(1), metadata(1), data(1), metadata(1), endData(1), metadata(1)],
      comes: { answered: 1 },
    },
    {
      name: "lets undefined flags pass",
      send: [frame(PING, 0xfe, 0, Buffer.alloc(8)), headers(1)],
      comes: { answered: 1 },
    },
    {
      name: "ignores the reserved bit of the stream identifier",
      send: [frame(PING, 0, 0x80000000, Buffer.alloc(8)), headers(1)],
      comes: { answered: 1 },
    },
    {
      name: "ignores undefined flags of HEADERS",
      send: [frame(HEADERS, 0x05 | 0xd2, 1, literals(getFields))],
      comes: { answered: 1 },
    },
  ]);
});

describe("4.2 the size of frames", () => {
  const body = Buffer.alloc(2 ** 14);
  const tooLong = Buffer.alloc(2 ** 14 + 1);
  cases([
    { name: "allows DATA of 2^14 octets", send: [openPost(1), endData(1, body)], comes: { answered: 1 } },
    { name: "forbids longer DATA", send: [openPost(1), endData(1, tooLong)], comes: { goAway: "FRAME_SIZE_ERROR" } },
    {
      name: "forbids longer HEADERS",
      send: [headers(1, [...getFields, ["x-dummy", "a".repeat(2 ** 14)]])],
      comes: { goAway: "FRAME_SIZE_ERROR" },
    },
    {
      name: "forbids longer frames of unknown types",
      send: [frame(0xbb, 0, 0, tooLong)],
      comes: { goAway: "FRAME_SIZE_ERROR" },
    },
    {
      name: "allows what the server announced",
      limits: { maxFrameBytes: 2 ** 15 },
      send: [openPost(1), endData(1, tooLong)],
      comes: { answered: 1 },
    },
  ]);
});

describe("4.3 field sections", () => {
  cases([
    {
      name: "must be decodable",
      send: [headers(1, Buffer.of(0xc6, 0x80, 0x80, 0x80, 0x80, 0x80))],
      comes: { goAway: "COMPRESSION_ERROR" },
    },
    {
      name: "must not be interrupted by PRIORITY",
      send: [headers(1, firstHalf, END_STREAM), priority(1), continuation(1, secondHalf)],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
    {
      name: "must not be interrupted by those of another stream",
      send: [headers(1, firstHalf, END_STREAM), headers(3), continuation(1, secondHalf)],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
    {
      name: "may be cut anywhere",
      send: [
        headers(1, firstHalf.subarray(0, 3), END_STREAM),
        continuation(1, firstHalf.subarray(3), 0),
        continuation(1, secondHalf),
      ],
      comes: { answered: 1 },
    },
  ]);
});

describe("5.1 streams that are idle", () => {
  cases([
    { name: "take no DATA", send: [endData(1)], comes: { goAway: "PROTOCOL_ERROR" } },
    { name: "take no RST_STREAM", send: [rstStream(1)], comes: { goAway: "PROTOCOL_ERROR" } },
    { name: "take no WINDOW_UPDATE", send: [windowUpdate(1, 100)], comes: { goAway: "PROTOCOL_ERROR" } },
    { name: "take no CONTINUATION", send: [continuation(1, getFields)], comes: { goAway: "PROTOCOL_ERROR" } },
    { name: "take PRIORITY", send: [priority(1), headers(1)], comes: { answered: 1 } },
  ]);
});

describe("5.1 streams that are half-closed (remote)", () => {
  cases([
    { name: "take no DATA", send: [waiting, endData(1)], comes: { reset: "STREAM_CLOSED", on: 1 } },
    { name: "take no HEADERS", send: [waiting, headers(1)], comes: { reset: "STREAM_CLOSED", on: 1 } },
    { name: "take no CONTINUATION", send: [waiting, continuation(1, getFields)], comes: { goAway: "PROTOCOL_ERROR" } },
    { name: "take WINDOW_UPDATE", send: [waiting, windowUpdate(1, 100)], comes: "nothing" },
    { name: "take PRIORITY", send: [waiting, priority(1)], comes: "nothing" },
    { name: "take RST_STREAM", send: [waiting, rstStream(1), headers(3)], comes: { answered: 3 } },
  ]);
});

describe("5.1 streams that are closed", () => {
  const done = [headers(1)];
  const wasReset = [open, rstStream(1)];
  cases([
    {
      name: "take no DATA after RST_STREAM",
      send: [...wasReset, endData(1)],
      comes: { reset: "STREAM_CLOSED", on: 1 },
    },
    { name: "take no HEADERS after RST_STREAM", send: [...wasReset, headers(1)], comes: { goAway: "STREAM_CLOSED" } },
    {
      name: "take no CONTINUATION after RST_STREAM",
      send: [...wasReset, continuation(1, getFields)],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
    { name: "take no DATA", send: [...done, endData(1)], comes: { reset: "STREAM_CLOSED", on: 1 } },
    { name: "take no HEADERS", send: [...done, headers(1)], comes: { goAway: "STREAM_CLOSED" } },
    { name: "take no CONTINUATION", send: [...done, continuation(1, getFields)], comes: { goAway: "PROTOCOL_ERROR" } },
    { name: "take PRIORITY", send: [...done, priority(1), headers(3)], comes: { answered: 3 } },
    { name: "take WINDOW_UPDATE", send: [...done, windowUpdate(1, 1), headers(3)], comes: { answered: 3 } },
    { name: "take RST_STREAM", send: [...done, rstStream(1), headers(3)], comes: { answered: 3 } },
    {
      name: "take what was on its way when the server reset them",
      send: [openPost(1, [...getFields, ["A", "b"]]), data(1), headers(1), headers(3)],
      comes: { reset: "PROTOCOL_ERROR", on: 1 },
    },
  ]);
});

describe("5.1.1 stream identifiers", () => {
  cases([
    { name: "of clients are odd", send: [headers(2)], comes: { goAway: "PROTOCOL_ERROR" } },
    { name: "rise", send: [headers(5), headers(3)], comes: { goAway: "PROTOCOL_ERROR" } },
    { name: "are used once", send: [headers(5), headers(5)], comes: { goAway: "STREAM_CLOSED" } },
    { name: "may leave gaps", send: [headers(5), headers(11)], comes: { answered: 11 } },
    { name: "may be the largest there is", send: [headers(2 ** 31 - 1)], comes: { answered: 2 ** 31 - 1 } },
    {
      name: "are exhausted after the largest",
      send: [headers(2 ** 31 - 1), headers(1)],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
  ]);
});

describe("5.1.2 the number of streams", () => {
  cases([
    {
      name: "is limited: more are refused",
      limits: { maxConcurrentStreams: 2 },
      send: [headers(1, waitFields), headers(3, waitFields), headers(5)],
      comes: { reset: "REFUSED_STREAM", on: 5 },
    },
    {
      name: "counts open ones only",
      limits: { maxConcurrentStreams: 1 },
      send: [headers(1), headers(3), headers(5, waitFields), rstStream(5), headers(7)],
      comes: { answered: 7 },
    },
  ]);
});

describe("5.3.1 dependencies", () => {
  const onItself = frame(HEADERS, 0x25, 1, Buffer.concat([uint32(1), Buffer.of(255), literals(waitFields)]));
  const onRoot = frame(HEADERS, 0x25, 1, Buffer.concat([uint32(0), Buffer.of(255), literals(getFields)]));
  cases([
    { name: "on itself by HEADERS resets the stream", send: [onItself], comes: { reset: "PROTOCOL_ERROR", on: 1 } },
    {
      name: "on itself by PRIORITY resets the stream",
      send: [open, priority(1, 1)],
      comes: { reset: "PROTOCOL_ERROR", on: 1 },
    },
    {
      name: "on itself by PRIORITY of an idle stream ends the connection",
      send: [priority(3, 3)],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
    {
      name: "are ignored",
      send: [onRoot, priority(3, 1, 255), priority(3, 0x80000001, 0), headers(5)],
      comes: { answered: 5 },
    },
  ]);
});

describe("5.4 and 5.5 errors and extensions", () => {
  cases([
    {
      name: "end the connection behind GOAWAY",
      send: [headers(1), frame(PING, 0, 0, Buffer.alloc(9))],
      comes: { goAway: "FRAME_SIZE_ERROR" },
    },
    {
      name: "end nothing else when they are of one stream",
      send: [open, windowUpdate(1, 0), headers(3)],
      comes: { reset: "PROTOCOL_ERROR", on: 1 },
    },
    {
      name: "ignore unknown types of frames on streams",
      send: [open, frame(0xee, 0, 1), endData(1), headers(3)],
      comes: { answered: 3 },
    },
    {
      name: "forbid unknown types of frames within a field section",
      send: [headers(1, firstHalf, END_STREAM), unknownFrame, continuation(1, secondHalf)],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
  ]);
});

describe("6.1 DATA", () => {
  cases([
    { name: "is taken", send: [openPost(1), endData(1)], comes: { answered: 1 } },
    { name: "is taken in several frames", send: [openPost(1), data(1), data(1), endData(1)], comes: { answered: 1 } },
    {
      name: "is taken with padding",
      send: [openPost(1), frame(DATA, END_STREAM | PADDED, 1, padded(6, Buffer.from("body")))],
      comes: { answered: 1 },
    },
    {
      name: "may be all padding",
      send: [openPost(1), frame(DATA, END_STREAM | PADDED, 1, padded(255, Buffer.alloc(0)))],
      comes: { answered: 1 },
    },
    { name: "is not for stream 0", send: [endData(0)], comes: { goAway: "PROTOCOL_ERROR" } },
    {
      name: "has no more padding than octets",
      send: [openPost(1), frame(DATA, END_STREAM | PADDED, 1, padded(6, Buffer.from("body"), 1))],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
    {
      name: "says how much padding it has",
      send: [openPost(1), frame(DATA, PADDED, 1)],
      comes: { goAway: "FRAME_SIZE_ERROR" },
    },
    {
      name: "is only for streams that are open",
      send: [headers(1), data(1)],
      comes: { reset: "STREAM_CLOSED", on: 1 },
    },
  ]);
});

describe("6.2 HEADERS", () => {
  const section = literals(getFields);
  cases([
    { name: "is taken with padding", send: [frame(HEADERS, 0x0d, 1, padded(8, section))], comes: { answered: 1 } },
    {
      name: "is taken with a priority",
      send: [frame(HEADERS, 0x25, 1, Buffer.concat([uint32(0), Buffer.of(15), section]))],
      comes: { answered: 1 },
    },
    {
      name: "is taken with both",
      send: [frame(HEADERS, 0x2d, 1, padded(9, Buffer.concat([uint32(0x80000000), Buffer.of(0), section])))],
      comes: { answered: 1 },
    },
    { name: "is not for stream 0", send: [headers(0)], comes: { goAway: "PROTOCOL_ERROR" } },
    {
      name: "has no more padding than octets",
      send: [frame(HEADERS, 0x0d, 1, padded(200, section, 1))],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
    {
      name: "has room for its priority",
      send: [frame(HEADERS, 0x25, 1, Buffer.alloc(4))],
      comes: { goAway: "FRAME_SIZE_ERROR" },
    },
    {
      name: "has room for its priority beside the padding",
      send: [frame(HEADERS, 0x2d, 1, padded(4, Buffer.alloc(4)))],
      comes: { goAway: "FRAME_SIZE_ERROR" },
    },
    {
      name: "without its end takes no other frame",
      send: [headers(1, firstHalf, END_STREAM), priority(1)],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
    {
      name: "without its end takes none of another stream",
      send: [headers(1, firstHalf, 0), headers(3)],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
  ]);
});

describe("6.3 PRIORITY", () => {
  cases([
    { name: "is ignored", send: [priority(1, 0, 0), priority(1, 0, 255), headers(1)], comes: { answered: 1 } },
    { name: "is not for stream 0", send: [priority(0)], comes: { goAway: "PROTOCOL_ERROR" } },
    {
      name: "has five octets",
      send: [open, frame(PRIORITY, 0, 1, Buffer.alloc(4))],
      comes: { reset: "FRAME_SIZE_ERROR", on: 1 },
    },
  ]);
});

describe("6.4 RST_STREAM", () => {
  cases([
    { name: "ends a stream alone", send: [open, rstStream(1), headers(3)], comes: { answered: 3 } },
    { name: "is not for stream 0", send: [rstStream(0)], comes: { goAway: "PROTOCOL_ERROR" } },
    { name: "is not for idle streams", send: [rstStream(1)], comes: { goAway: "PROTOCOL_ERROR" } },
    {
      name: "has four octets",
      send: [open, frame(RST_STREAM, 0, 1, Buffer.alloc(3))],
      comes: { goAway: "FRAME_SIZE_ERROR" },
    },
  ]);
});

describe("6.5 SETTINGS", () => {
  const bad = (id: number, value: number): Buffer[] => [settings([id, value])];
  cases([
    { name: "are taken", send: [settings([3, 100], [4, 65_535], [5, 16_384]), headers(1)], comes: { answered: 1 } },
    {
      name: "are empty when they acknowledge",
      send: [frame(SETTINGS, ACK, 0, Buffer.alloc(1))],
      comes: { goAway: "FRAME_SIZE_ERROR" },
    },
    {
      name: "are not for a stream",
      send: [frame(SETTINGS, 0, 1, Buffer.from([0, 3, 0, 0, 0, 100]))],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
    {
      name: "have six octets each",
      send: [frame(SETTINGS, 0, 0, Buffer.alloc(3))],
      comes: { goAway: "FRAME_SIZE_ERROR" },
    },
    { name: "enable push by 0 or 1", send: bad(2, 2), comes: { goAway: "PROTOCOL_ERROR" } },
    { name: "have no window above 2^31-1", send: bad(4, 2 ** 31), comes: { goAway: "FLOW_CONTROL_ERROR" } },
    { name: "have no frames below 2^14", send: bad(5, 2 ** 14 - 1), comes: { goAway: "PROTOCOL_ERROR" } },
    { name: "have no frames above 2^24-1", send: bad(5, 2 ** 24), comes: { goAway: "PROTOCOL_ERROR" } },
    { name: "may be unknown", send: [settings([0xff, 1]), headers(1)], comes: { answered: 1 } },
    { name: "may switch the table off", send: [settings([1, 0]), headers(1)], comes: { answered: 1 } },
  ]);
});

describe("6.6 PUSH_PROMISE", () => {
  cases([
    {
      name: "is not for servers",
      send: [frame(PUSH_PROMISE, END_HEADERS, 1, Buffer.concat([uint32(2), literals(getFields)]))],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
  ]);
});

describe("6.7 PING", () => {
  cases([
    { name: "is not for a stream", send: [frame(PING, 0, 1, Buffer.alloc(8))], comes: { goAway: "PROTOCOL_ERROR" } },
    { name: "has eight octets", send: [frame(PING, 0, 0, Buffer.alloc(6))], comes: { goAway: "FRAME_SIZE_ERROR" } },
  ]);
});

describe("6.8 GOAWAY", () => {
  cases([
    { name: "lets the server go on", send: [open, goAway(0), endData(1)], comes: "nothing" },
    { name: "is not for a stream", send: [frame(GOAWAY, 0, 1, Buffer.alloc(8))], comes: { goAway: "PROTOCOL_ERROR" } },
    {
      name: "has eight octets at least",
      send: [frame(GOAWAY, 0, 0, Buffer.alloc(7))],
      comes: { goAway: "FRAME_SIZE_ERROR" },
    },
  ]);
});

describe("6.9 WINDOW_UPDATE", () => {
  cases([
    { name: "is taken", send: [windowUpdate(0, 1), open, windowUpdate(1, 1), headers(3)], comes: { answered: 3 } },
    { name: "of 0 for the connection ends it", send: [windowUpdate(0, 0)], comes: { goAway: "PROTOCOL_ERROR" } },
    {
      name: "of 0 for a stream resets it",
      send: [open, windowUpdate(1, 0)],
      comes: { reset: "PROTOCOL_ERROR", on: 1 },
    },
    {
      name: "has four octets",
      send: [frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(3))],
      comes: { goAway: "FRAME_SIZE_ERROR" },
    },
    {
      name: "makes no window of the connection above 2^31-1",
      send: [windowUpdate(0, 2 ** 31 - 1), windowUpdate(0, 2 ** 31 - 1)],
      comes: { goAway: "FLOW_CONTROL_ERROR" },
    },
    {
      name: "makes no window of a stream above 2^31-1",
      send: [open, windowUpdate(1, 2 ** 31 - 1), windowUpdate(1, 2 ** 31 - 1)],
      comes: { reset: "FLOW_CONTROL_ERROR", on: 1 },
    },
    {
      name: "by SETTINGS makes no window of a stream above 2^31-1",
      send: [open, windowUpdate(1, 2 ** 31 - 1 - 65_535), settings([4, 65_536])],
      comes: { goAway: "FLOW_CONTROL_ERROR" },
    },
  ]);
});

describe("6.10 CONTINUATION", () => {
  cases([
    {
      name: "goes on until the end of the section",
      send: [headers(1, firstHalf, END_STREAM), continuation(1, secondHalf, 0), continuation(1, [["x-dummy", "1"]])],
      comes: { answered: 1 },
    },
    {
      name: "must be the next frame",
      send: [headers(1, firstHalf, END_STREAM), data(1)],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
    {
      name: "is not for stream 0",
      send: [headers(1, firstHalf, END_STREAM), continuation(0, secondHalf)],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
    {
      name: "is not for another stream",
      send: [headers(1, firstHalf, END_STREAM), continuation(3, secondHalf)],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
    {
      name: "does not follow a whole section",
      send: [open, continuation(1, secondHalf)],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
    {
      name: "does not follow its own end",
      send: [headers(1, firstHalf, 0), continuation(1, secondHalf), continuation(1, [["x-dummy", "1"]])],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
    {
      name: "does not follow DATA",
      send: [open, data(1), continuation(1, secondHalf)],
      comes: { goAway: "PROTOCOL_ERROR" },
    },
  ]);
});

describe("7 error codes", () => {
  cases([
    { name: "that are unknown are taken in GOAWAY", send: [goAway(0, 0xff)], comes: "nothing" },
    {
      name: "that are unknown are taken in RST_STREAM",
      send: [open, rstStream(1, 0xff), headers(3)],
      comes: { answered: 3 },
    },
  ]);
});
