import type { ComponentLog } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { accessDenied, messageOf } from "./redis-failure.ts";

/**
 * Tells of work that is tried again: quietly while the server is away, which its connection tells, and as a warning when the server
 * answers with something else; once, until it succeeded.
 */
export class RedisTroubles {
  readonly #log: ComponentLog;
  #hasWarned = false;

  constructor(log: ComponentLog) {
    this.#log = log;
  }

  failed(error: unknown, fields: object, message: string): void {
    const isAway = error instanceof RuntimeError && error.code === "UNAVAILABLE" && error.reason !== accessDenied;
    if (isAway || this.#hasWarned) {
      this.#log.debug({ err: error, ...fields }, message);
    } else {
      this.#hasWarned = true;
      this.#log.warn({ why: messageOf(error), ...fields }, message);
    }
  }

  succeeded(): void {
    this.#hasWarned = false;
  }
}
