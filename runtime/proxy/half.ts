import type { Direction } from "../plugin/contract.ts";
import { ChunkedBody } from "./body-buffer.ts";

/** The three callbacks of a direction, in their order. */
export type Step = "headers" | "body" | "trailers";

/** How far one direction has come at one filter. `hold` is the callback whose `pause` has not been resumed. */
export interface Half {
  readonly direction: Direction;
  head: "awaited" | "arrived" | "shown" | "passed";
  /** The head is the whole message. */
  headOnly: boolean;
  hold: Step | undefined;
  /** The head is held, and what follows is shown all the same. */
  headHeldAlone: boolean;
  /** Shown to the filter, not passed on. */
  readonly body: ChunkedBody;
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
    headHeldAlone: false,
    body: new ChunkedBody(),
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
  const isOpen = half.head === "passed" || (half.head === "shown" && half.headHeldAlone);
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
