import type { StreamFilter, StreamHost } from "../../plugin/contract.ts";
import type { Guest } from "../provider.ts";
import { failStream } from "./fail-stream.ts";
import { WholeStream } from "./whole-stream.ts";

/**
 * A stream that one call of the guest answers. The call goes on when the client has gone: what it has begun it may finish, and
 * its instance takes nothing else until then. What becomes of it then is no crash.
 */
export function serviceStream(
  guest: Guest,
  host: StreamHost,
  serve: () => Promise<void>,
  ended: () => void,
): StreamFilter {
  let isServing = false;
  let isOver = false;
  const over = (): void => {
    if (isOver) return;
    isOver = true;
    ended();
  };
  const run = async (): Promise<void> => {
    isServing = true;
    try {
      await serve();
    } catch (error) {
      failStream(guest, host, error);
    } finally {
      isServing = false;
      over();
    }
  };
  return new WholeStream({
    request: () => void run(),
    end() {
      if (isServing) guest.unwanted("deadline");
      else over();
    },
  });
}
