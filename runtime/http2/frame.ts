/** The frames of HTTP/2 as they lie on the wire (RFC 9113, section 4.1 and 6). */

export const frameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const frameFlag = { END_STREAM: 0x1, ACK: 0x1, END_HEADERS: 0x4, PADDED: 0x8, PRIORITY: 0x20 } as const;

export const frameHeaderBytes = 9;
/** Every endpoint takes frames of this size, and no peer may forbid larger ones than this by SETTINGS (section 4.2). */
export const smallestMaxFrameBytes = 16_384;
export const largestMaxFrameBytes = 2 ** 24 - 1;
export const largestWindow = 2 ** 31 - 1;
export const initialWindow = 65_535;
export const largestStreamId = 2 ** 31 - 1;

/** What a client sends first (section 3.4). */
export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export const readUint32 = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0;
