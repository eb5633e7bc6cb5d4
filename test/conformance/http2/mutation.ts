/** Frames of valid conversations, spoiled in ways that depend on nothing but a seed. */
import {
  continuation,
  data,
  endData,
  frame,
  getFields,
  goAway,
  headers,
  literals,
  openPost,
  ping,
  plainText,
  postFields,
  priority,
  rstStream,
  settings,
  settingsAck,
  windowUpdate,
} from "../../support/http2-frames.ts";

export type Random = (most: number) => number;

/** Numbers below `most`, the same in each run. */
export function seeded(seed: number): Random {
  let state = seed ^ 0x5bd1e995;
  return (most) => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    state = Math.imul(state ^ (state >>> 12), 0x297a2d39);
    return ((state ^ (state >>> 15)) >>> 0) % most;
  };
}

const ok = [
  [":status", "200"],
  ["content-type", "text/plain"],
] as const;
const section = literals(getFields);
const indexing = Buffer.concat([Buffer.of(0x82, 0x86, 0x84, 0x40), plainText("x-a"), plainText("b"), Buffer.of(0xbe)]);

/** What clients say, behind their opening. */
export const requests: readonly (readonly Buffer[])[] = [
  [settings([4, 1000]), settingsAck, headers(1), headers(3), ping(), windowUpdate(0, 1000), windowUpdate(3, 10)],
  [openPost(1), data(1, Buffer.alloc(5000, 7)), data(1, ""), endData(1), headers(3, indexing), headers(5, indexing)],
  [openPost(1, [...postFields, ["content-length", "8"]]), data(1), endData(1), headers(3, getFields), rstStream(3)],
  [
    headers(1, section.subarray(0, 20), 1),
    continuation(1, section.subarray(20, 40), 0),
    continuation(1, section.subarray(40)),
    openPost(3),
    headers(3, [["x-trailer", "1"]]),
    priority(5, 3),
  ],
  [
    settings([4, 0], [5, 20_000], [1, 0]),
    headers(1, Buffer.concat([Buffer.of(0x20, 0x3f, 0xe1, 0x1f), indexing])),
    windowUpdate(1, 5),
    frame(0xee, 3, 1, Buffer.alloc(20)),
    settings([4, 70_000], [1, 4096]),
    headers(3, indexing),
    goAway(0),
    headers(5, [...getFields, ["cookie", "a=b"]]),
  ],
];

/** What servers say to requests on the streams 1, 3 and 5, behind their SETTINGS. */
export const responses: readonly (readonly Buffer[])[] = [
  [
    settings([3, 10]),
    headers(1, ok),
    headers(3, ok, 4),
    endData(3),
    headers(5, ok, 4),
    data(5),
    headers(5, [["x", "1"]]),
  ],
  [
    headers(1, [[":status", "103"]], 4),
    headers(1, [...ok, ["content-length", "4"]], 4),
    windowUpdate(1, 100),
    endData(1),
    rstStream(3, 7),
    ping(),
    goAway(5),
    headers(5, Buffer.concat([Buffer.of(0x88, 0x40), plainText("x-a"), plainText("b"), Buffer.of(0xbe)])),
  ],
  [
    settings([4, 0]),
    headers(1, ok, 0),
    continuation(1, [["x-more", "1"]]),
    data(1),
    endData(1),
    settings([4, 100], [1, 100]),
  ],
];

/** The frames with some of them flipped, cut, doubled, moved, dropped, or spliced with those of another conversation. */
export function spoil(frames: readonly Buffer[], others: readonly (readonly Buffer[])[], random: Random): Buffer {
  const spoiled = copies(frames);
  for (let count = 1 + random(4); count > 0; count -= 1) {
    const at = random(spoiled.length);
    const one = spoiled[at] ?? Buffer.alloc(0);
    const kind = random(8);
    if (kind === 0) flip(one, random, one.length);
    else if (kind === 1) flip(one, random, Math.min(9, one.length));
    else if (kind === 2) spoiled[at] = one.subarray(0, random(one.length + 1));
    else if (kind === 3) spoiled.splice(at, 0, one);
    else if (kind === 4) spoiled.splice(random(spoiled.length), 0, ...spoiled.splice(at, 1));
    else if (kind === 5 && spoiled.length > 1) spoiled.splice(at, 1);
    else if (kind === 6) spoiled.splice(at, 0, ...copies(others[random(others.length)] ?? []));
    else spoiled.splice(at, 0, randomFrame(random));
  }
  return Buffer.concat(spoiled);
}

const copies = (frames: readonly Buffer[]): Buffer[] => frames.map((one) => Buffer.from(one));

function flip(bytes: Buffer, random: Random, most: number): void {
  if (most === 0) return;
  const at = random(most);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
}

/** A whole frame of a random type for a likely stream, whatever is in it. */
function randomFrame(random: Random): Buffer {
  const payload = Buffer.from(Array.from({ length: random(40) }, () => random(256)));
  return frame(random(11), random(256), random(3) === 0 ? 0 : 1 + random(8), payload);
}
