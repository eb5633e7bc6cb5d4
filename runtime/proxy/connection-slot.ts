import type { ClosingPeer, ConnectionFilter, ConnectionHost, ConnectionSide } from "../plugin/connection-filter.ts";
import type { BodyBuffer, FilterAction, PluginUse, PropertyValue } from "../plugin/contract.ts";
import { PluginError } from "../plugin/plugin-error.ts";
import { ChunkedBody } from "./body-buffer.ts";

/** What a slot needs of the TCP connection that it sits in. */
export interface SlotConnection {
  readonly maxBufferBytes: number;
  /** Nothing passes any more. */
  readonly isOver: boolean;
  /** The filter lets the connection go on to what lies behind it. */
  passOpening(slot: ConnectionSlot): void;
  passData(slot: ConnectionSlot, side: ConnectionSide, chunks: readonly Uint8Array[], isLast: boolean): void;
  hold(side: ConnectionSide): void;
  release(side: ConnectionSide): void;
  overflowed(slot: ConnectionSlot, side: ConnectionSide): void;
  closedBy(slot: ConnectionSlot): void;
  failedClosed(slot: ConnectionSlot, error: PluginError): void;
  failedOpen(slot: ConnectionSlot, error: PluginError): void;
  property(path: readonly string[]): PropertyValue | undefined;
  keep(path: readonly string[], value: Uint8Array): boolean;
}

/** The bytes of one side at one filter. */
interface Half {
  readonly side: ConnectionSide;
  /** Arrived, not shown. */
  readonly incoming: ChunkedBody;
  /** Shown to the filter, not passed on. */
  readonly shown: ChunkedBody;
  end: "awaited" | "arrived" | "shown" | "passed";
  /** The filter paused on what was shown. */
  held: boolean;
  throttled: boolean;
  /** The filter asked to go on with it in the middle of a callback. */
  resumed: boolean;
}

type Step = "opening" | ConnectionSide;

/** While a filter cannot be shown data, this much of it is taken before its source is held back. */
const throttleBytes = 64 * 1024;

/**
 * One filter on one TCP connection: keeps what its callbacks have not let pass, and is the host that the guest reaches. What
 * the guest asks for in the middle of a callback is done when that callback has ended. See FilterSlot, its like for HTTP.
 */
export class ConnectionSlot implements ConnectionHost {
  readonly index: number;
  readonly #connection: SlotConnection;
  readonly #use: PluginUse;
  #filter: ConnectionFilter | undefined;
  /** Nothing is shown during `running` and `suspended`. */
  #phase: "new" | "idle" | "running" | "suspended" | "bypassed" | "ended" = "new";
  #opening: "awaited" | "arrived" | "shown" | "passed" = "awaited";
  #step: Step | undefined;
  readonly #downstream = newHalf("downstream");
  readonly #upstream = newHalf("upstream");
  #closeWanted = false;
  #failure: PluginError | undefined;

  constructor(index: number, connection: SlotConnection, use: PluginUse) {
    this.index = index;
    this.#connection = connection;
    this.#use = use;
  }

  get plugin(): string {
    return this.#use.plugin;
  }

  /** The connection has come this far. */
  start(): void {
    this.#opening = "arrived";
    this.#phase = "running";
    try {
      this.#filter = this.#use.openConnection(this);
      this.#phase = "idle";
    } catch (error) {
      this.#fail(asPluginError(error, this.plugin, "could not begin a connection"));
      return;
    }
    this.#doWanted();
    this.#pump();
  }

  /** The chunks are shown together. */
  arrive(side: ConnectionSide, chunks: readonly Uint8Array[], isLast: boolean): void {
    const half = this.#half(side);
    for (const chunk of chunks) half.incoming.append(chunk);
    if (isLast) half.end = "arrived";
    this.#pump();
    if (half.throttled || half.incoming.length < Math.min(throttleBytes, this.#connection.maxBufferBytes)) return;
    half.throttled = true;
    this.#connection.hold(side);
  }

  /** That side's connection is closed. */
  closed(side: ConnectionSide, peer: ClosingPeer): void {
    const filter = this.#filter;
    if (filter === undefined) return;
    try {
      if (side === "downstream") filter.downstreamClose(peer);
      else filter.upstreamClose(peer);
    } catch (error) {
      this.failed(asPluginError(error, this.plugin, "threw in a callback"));
    }
  }

  /** The connection is over, whatever happened. */
  end(): void {
    const filter = this.#filter;
    this.#filter = undefined;
    try {
      filter?.end();
    } catch (error) {
      this.#connection.failedOpen(this, asPluginError(error, this.plugin, "threw when its connection ended"));
    }
    this.#phase = "ended";
    for (const half of [this.#downstream, this.#upstream]) {
      half.incoming.clear();
      half.shown.clear();
    }
  }

  data(side: ConnectionSide): BodyBuffer | undefined {
    if (this.#phase === "ended") return undefined;
    const half = this.#half(side);
    return this.#step === side || half.held ? half.shown : undefined;
  }

  resume(side: ConnectionSide): void {
    const half = this.#half(side);
    if (this.#phase === "running" || this.#phase === "suspended") half.resumed = true;
    else if (this.#phase === "idle") this.#release(half);
  }

  settle(action: "continue" | "pause"): void {
    if (this.#phase !== "suspended") return;
    this.#finish(action);
    this.#pump();
  }

  close(): void {
    if (this.#phase === "running" || this.#phase === "suspended") this.#closeWanted = true;
    else if (this.#phase === "idle") this.#connection.closedBy(this);
  }

  failed(error: PluginError): void {
    if (this.#phase === "running") this.#failure ??= error;
    else if (this.#phase === "idle" || this.#phase === "suspended") this.#fail(error);
  }

  property(path: readonly string[]): PropertyValue | undefined {
    return this.#connection.property(path);
  }

  setProperty(path: readonly string[], value: Uint8Array): boolean {
    return this.#connection.keep(path, value);
  }

  #half(side: ConnectionSide): Half {
    return side === "downstream" ? this.#downstream : this.#upstream;
  }

  /** Shows the filter what it may be shown now, and passes on what it lets go. */
  #pump(): void {
    for (let step = this.#next(); step !== undefined; step = this.#next()) this.#show(step);
    if (this.#phase === "bypassed") this.#passAll();
    this.#unthrottle(this.#downstream);
    this.#unthrottle(this.#upstream);
  }

  #next(): Step | undefined {
    if (this.#phase !== "idle" || this.#filter === undefined || this.#connection.isOver) return undefined;
    if (this.#opening === "arrived") return "opening";
    if (isDue(this.#downstream)) return "downstream";
    return isDue(this.#upstream) ? "upstream" : undefined;
  }

  #show(step: Step): void {
    this.#phase = "running";
    this.#step = step;
    let action: FilterAction = "continue";
    try {
      action = this.#callBack(step);
    } catch (error) {
      this.#failure ??= asPluginError(error, this.plugin, "threw in a callback");
    }
    if (action === "suspended" && this.#failure === undefined) this.#phase = "suspended";
    else this.#finish(action === "pause" ? "pause" : "continue");
  }

  #callBack(step: Step): FilterAction {
    const filter = this.#filter;
    if (filter === undefined) return "continue";
    if (step === "opening") {
      this.#opening = "shown";
      return filter.newConnection();
    }
    const isLast = showAll(this.#half(step));
    return step === "downstream" ? filter.downstreamData(isLast) : filter.upstreamData(isLast);
  }

  /** A callback ended. */
  #finish(action: "continue" | "pause"): void {
    const step = this.#step;
    this.#step = undefined;
    this.#phase = "idle";
    if (this.#doWanted() || step === undefined) return;
    const half = step === "upstream" ? this.#upstream : this.#downstream;
    const { resumed } = half;
    half.resumed = false;
    if (action === "continue" || resumed) this.#letPass(half);
    else if (step !== "opening") this.#keep(half);
    const other = half === this.#upstream ? this.#downstream : this.#upstream;
    if (!other.resumed) return;
    other.resumed = false;
    this.#release(other);
  }

  /** Does what the guest, or its end, asked for during a callback; whether that decides the connection. */
  #doWanted(): boolean {
    const failure = this.#failure;
    if (failure !== undefined) this.#fail(failure);
    else if (this.#closeWanted) this.#connection.closedBy(this);
    else return false;
    return true;
  }

  #keep(half: Half): void {
    half.held = true;
    if (half.shown.length > this.#connection.maxBufferBytes) this.#connection.overflowed(this, half.side);
  }

  #release(half: Half): void {
    const holdsOpening = half === this.#downstream && this.#opening === "shown";
    if (!half.held && !holdsOpening) return;
    this.#letPass(half);
    this.#pump();
  }

  /** Data of the client that may pass lets the connection go on, too. */
  #letPass(half: Half): void {
    half.held = false;
    if (half === this.#downstream && this.#opening !== "passed") {
      this.#opening = "passed";
      this.#connection.passOpening(this);
    }
    const isLast = half.end === "shown";
    if (isLast) half.end = "passed";
    const chunks = half.shown.take();
    if (isLast || chunks.length > 0) this.#connection.passData(this, half.side, chunks, isLast);
  }

  /** Passes on whatever is here as if there were no filter. */
  #passAll(): void {
    for (const half of [this.#downstream, this.#upstream]) {
      showAll(half);
      this.#letPass(half);
    }
  }

  #unthrottle(half: Half): void {
    if (!half.throttled || half.incoming.length > 0) return;
    half.throttled = false;
    this.#connection.release(half.side);
  }

  /** The plugin is out of this connection; its fail policy decides how the connection goes on. */
  #fail(error: PluginError): void {
    if (this.#phase === "ended" || this.#phase === "bypassed") return;
    this.#phase = "bypassed";
    this.#filter = undefined;
    this.#step = undefined;
    if (this.#use.fail !== "open") {
      this.#connection.failedClosed(this, error);
      return;
    }
    this.#connection.failedOpen(this, error);
    this.#pump();
  }
}

function newHalf(side: ConnectionSide): Half {
  return {
    side,
    incoming: new ChunkedBody(),
    shown: new ChunkedBody(),
    end: "awaited",
    held: false,
    throttled: false,
    resumed: false,
  };
}

const isDue = ({ incoming, end }: Half): boolean => incoming.length > 0 || end === "arrived";

/** Counts all that has arrived as shown; whether it is the end too. */
function showAll(half: Half): boolean {
  half.shown.appendAll(half.incoming);
  if (half.end === "arrived") half.end = "shown";
  return half.end === "shown";
}

function asPluginError(error: unknown, plugin: string, what: string): PluginError {
  if (error instanceof PluginError) return error;
  return new PluginError(plugin, "", "trap", `plugin '${plugin}' ${what}: ${String(error)}`, { cause: error });
}
