/** What the parts of this engine agree on: imports are provided for one instance, exports are called on one. */
import type { HostServices, PluginProgram, StreamFilter, StreamHost } from "../plugin/contract.ts";
import type { VersionedInterface } from "./interface-name.ts";

/** What of the host a component may reach. */
export type GuestServices = Pick<HostServices, "api" | "log">;

/** The host of one instance of a component, as its imports see it. */
export interface GuestHost {
  readonly program: PluginProgram;
  readonly services: GuestServices;
  /** Of the call under way: aborts at its deadline, or when nobody wants its outcome any more; what waits rejects then. */
  readonly signal: AbortSignal;
  /** Charges the call under way for work that is done for the guest, in fuel. Throws, and ends the instance, when it has none left. */
  pay(fuel: number): void;
  /** Calls `act` once, when the call under way has ended, whatever came of it: what was begun for that call alone is let go then. */
  atEnd(act: () => void): void;
  /** The guest has waited for something and goes on: where the body of its client's message flows, its budget begins anew. */
  waited(): void;
  /** Ends the instance, and the call under way with it: what a guest asks for by `exit`. */
  exit(hasFailed: boolean): never;
  /** A whole line that the guest wrote, for the plugin's log. */
  log(level: "trace" | "debug" | "info" | "warn" | "error" | "critical", line: string): void;
}

/** An interface that guests may import. */
export interface ImportedInterface extends VersionedInterface {
  /** Functions that may wait for something, as WIT names them: `get`, `[method]bucket.get`. All others return at once. */
  readonly waiting: readonly string[];
  /**
   * Its functions and classes under jco's names: lower camel case, resources in Pascal case, methods on their prototypes,
   * static functions and constructors as such. Called once for each instance. The error of a `result` is thrown as it is; an
   * Error that is thrown is the host's own fault, and ends the instance.
   */
  make(host: GuestHost): Readonly<Record<string, unknown>>;
}

/** Whom a call of a guest is for, who may be what it waits for. */
export interface CallClient {
  /** The deadline has passed: true when that is not the guest's fault, and the client was told. The call is unwanted from then on. */
  excusesLateness(): boolean;
}

/** An instance that has started. */
export interface Guest {
  readonly host: GuestHost;
  /** Its calls so far, with the one under way. */
  readonly counters: { readonly calls: number };
  /** The export, under its name in full; undefined when the component has none. An interface is an object of functions. */
  exported(name: string): unknown;
  /**
   * Runs one call of the guest: with its whole budget, until the deadline. Rejects with PluginError when the guest traps,
   * overruns, exits or waits too long, and then the instance is gone; with what the guest threw as the error of a `result`.
   * `client` is asked when the deadline has passed.
   */
  call<Result>(what: string, enter: () => Result | Promise<Result>, client?: CallClient): Promise<Result>;
  /** Bytes moved between the call under way and its client: its deadline begins anew, and its budget after its next wait. */
  moved(): void;
  /**
   * Nobody waits for the outcome of the call under way, if there is one: it may go on for a second, or until its deadline. That
   * it traps, exits or is ended there is no crash.
   */
  unwanted(until: "soon" | "deadline"): void;
}

/** An interface by whose exports a component takes streams. */
export interface ExportedInterface extends VersionedInterface {
  /** Functions that are called, as WIT names them. */
  readonly functions: readonly string[];
  /** Its streams begin with the callback that brings the end of the request. */
  readonly takesWholeRequests?: true;
  /** Whether the stream is for this interface; of several the first that takes it has it. */
  takes(host: StreamHost, kind: PluginProgram["kind"]): boolean;
  /** Begins a stream on an instance that has no other; `ended` is called once when the guest has nothing more to do for it. */
  open(guest: Guest, exported: Readonly<Record<string, unknown>>, host: StreamHost, ended: () => void): StreamFilter;
}
