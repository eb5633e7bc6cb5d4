import type { RuntimeError } from "../../components/error.ts";
import type { Log } from "../telemetry/log.ts";

/** A plugin may make up names as it likes. */
const mostSentences = 64;
const mostCharacters = 600;
/** The configuration does not have what was named. */
const absent = /(STORE|PUBSUB|BINDING|COMPONENT|SERVICE|UPSTREAM)_NOT_(FOUND|CONFIGURED)$/;

/**
 * Tells the log of a plugin's calls that fail as long as it is configured as it is: its code may leave unsaid why, and its author
 * looks into the log. Each sentence comes once.
 */
export class RefusedCalls {
  readonly #log: Log;
  readonly #logged: ((level: "warn", message: string) => void) | undefined;
  readonly #told = new Set<string>();

  /** `logged` is told what the log is. */
  constructor(log: Log, logged: ((level: "warn", message: string) => void) | undefined) {
    this.#log = log;
    this.#logged = logged;
  }

  /** Tells it of an error that is of this kind, and was not told before. */
  saw({ code, reason, message }: RuntimeError): void {
    if (code !== "PERMISSION_DENIED" && !absent.test(reason)) return;
    const sentence = message.slice(0, mostCharacters);
    if (this.#told.size >= mostSentences || this.#told.has(sentence)) return;
    this.#told.add(sentence);
    const line = `a call of the plugin fails with ${code.toLowerCase().replaceAll("_", "-")}: ${sentence}`;
    this.#log.warn(line);
    this.#logged?.("warn", line);
  }
}
