import type { CallContext } from "../../components/component.ts";
import type { Capabilities } from "../config/schema.ts";
import type { CallsInFlight, Era } from "../grpc/calls-in-flight.ts";
import type { Log } from "../telemetry/log.ts";
import { toldToGuest } from "./guest-error.ts";
import { notGranted, requireGrant } from "./method-grants.ts";
import { RefusedCalls } from "./refused-calls.ts";

/** The plugin that calls, and what it was granted. */
export interface CallingPlugin {
  readonly plugin: string;
  readonly version: string;
  readonly grants: Capabilities;
  readonly appId: string;
  readonly log: Log;
  /** Keeps a line with those that the plugin logged. */
  readonly logged?: (level: "warn", message: string) => void;
  /** Where its calls are counted while they run. */
  readonly calls: CallsInFlight;
}

/** The calls of one plugin to the building blocks: each is checked, counted and, when it fails, told as a plugin may hear it. */
export class GuestCalls {
  readonly #plugin: CallingPlugin;
  readonly #peer: CallContext["peer"];
  readonly #caller: NonNullable<CallContext["caller"]>;
  readonly #log: Log;
  readonly #refused: RefusedCalls;

  constructor(plugin: CallingPlugin) {
    this.#plugin = plugin;
    this.#peer = { address: `plugin:${plugin.plugin}`, identity: plugin.plugin };
    this.#caller = { plugin: plugin.plugin, caller: undefined };
    this.#log = plugin.log.child({ plugin: plugin.plugin, version: plugin.version });
    this.#refused = new RefusedCalls(this.#log, plugin.logged);
  }

  /** Tells the log of a name that was not granted, as of a call that fails for it. */
  refused(kind: keyof Capabilities, name: string): void {
    this.#refused.saw(notGranted(this.#plugin.plugin, kind, name));
  }

  /** The task begins within this call. Rejects with RuntimeError: PERMISSION_DENIED when the name was not granted. */
  async run<Result>(
    kind: keyof Capabilities,
    name: string,
    signal: AbortSignal,
    task: (call: CallContext) => Promise<Result>,
  ): Promise<Result> {
    const { plugin, grants, appId, calls } = this.#plugin;
    const call = { signal, peer: this.#peer, caller: this.#caller, appId, log: this.#log };
    let era: Era | undefined;
    try {
      requireGrant(plugin, grants, kind, name);
      signal.throwIfAborted();
      era = calls.began();
      return await task(call);
    } catch (error) {
      const told = toldToGuest(error, call);
      this.#refused.saw(told);
      throw told;
    } finally {
      if (era !== undefined) calls.ended(era);
    }
  }

  /** Passes on what a call answers piece by piece, counted while it is read. */
  async *read<Piece>(pieces: AsyncIterable<Piece>, call: CallContext): AsyncGenerator<Piece, void> {
    const { calls } = this.#plugin;
    const era = calls.began();
    try {
      yield* pieces;
    } catch (error) {
      throw toldToGuest(error, call);
    } finally {
      calls.ended(era);
    }
  }
}
