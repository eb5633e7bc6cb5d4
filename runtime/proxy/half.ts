import type { Direction, SettledAction } from "../plugin/contract.ts";
import { ChunkedBody } from "./body-buffer.ts";

/** While a filter cannot be shown a body, this much of it is taken before its source is held back. */
const throttleBytes = 64 * 1024;

/** The three callbacks of a direction, in their order. */
export type Step = "headers" | "body" | "trailers";

/** How far one direction has come at one filter. `hold` is the callback whose `pause` has not been resumed. */
export interface Half {
  readonly direction: Direction;
  head: "awaited" | "arrived" | "shown" | "passed";
  /** The head is the whole message. */
  headOnly: boolean;
  hold: Step | undefined;
  /** How the filter ended the callback of the head. */
  headAction: SettledAction;
  /** Shown to the filter, not passed on. */
  readonly body: ChunkedBody;
  /** Shown before `body`, and held out of sight since. */
  kept: ChunkedBody | undefined;
  /** Arrived, not shown. */
  readonly incoming: ChunkedBody;
  end: "awaited" | "arrived" | "shown" | "passed";
  trailers: "awaited" | "arrived" | "shown" | "passed";
  throttled: boolean;
  /** The filter asked to go on with it in the middle of a callback. */
  resumed: boolean;
}

/** A direction of which nothing has come yet. */
export function newHalf(direction: Direction): Half {
  return {
    direction,
    head: "awaited",
    headOnly: false,
    hold: undefined,
    headAction: "continue",
    body: new ChunkedBody(),
    kept: undefined,
    incoming: new ChunkedBody(),
    end: "awaited",
    trailers: "awaited",
    throttled: false,
    resumed: false,
  };
}

/** The callback that is due; undefined when the filter must be waited for, or the message. */
export function nextStep(half: Half): Step | undefined {
  if (half.head === "arrived") return "headers";
  const isOpen = half.head === "passed" || (half.head === "shown" && half.headAction === "hold");
  if (!isOpen || half.hold === "trailers") return undefined;
  if (half.incoming.length > 0 || half.end === "arrived") return "body";
  return half.trailers === "arrived" ? "trailers" : undefined;
}

/** Counts the head as shown; whether it is the end too. */
export function showHead(half: Half): boolean {
  half.head = "shown";
  if (half.headOnly) half.end = "shown";
  return half.headOnly;
}

/** Counts all that has arrived as shown; whether it is the end too. */
export function showBody(half: Half): boolean {
  half.body.appendAll(half.incoming);
  if (half.end === "arrived") half.end = "shown";
  return half.end === "shown";
}

/** Holds what was shown of the body out of sight. */
export function keepBody(half: Half): void {
  half.kept ??= new ChunkedBody();
  half.kept.appendAll(half.body);
}

/** Brings what was out of sight back, before what was shown since. */
export function restoreBody(half: Half): void {
  if (half.kept === undefined) return;
  half.kept.appendAll(half.body);
  half.body.appendAll(half.kept);
  half.kept = undefined;
}

/** Whether all that follows the head is taken in, as far as the buffer goes. */
export function gathers(half: Half): boolean {
  return half.hold === "headers" && half.headAction === "buffer";
}

/** Whether so much waits at the filter that its source is to be held back. */
export function isFull(half: Half, maxBytes: number): boolean {
  if (gathers(half)) return false;
  return half.incoming.length >= Math.min(throttleBytes, maxBytes) || keepsTooMuch(half, maxBytes);
}

/** Whether a source that is held back may go on. */
export function hasRoom(half: Half, maxBytes: number): boolean {
  return gathers(half) || (half.incoming.length === 0 && !keepsTooMuch(half, maxBytes));
}

const keepsTooMuch = ({ kept }: Half, maxBytes: number): boolean => kept !== undefined && kept.length >= maxBytes;
