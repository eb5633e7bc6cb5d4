import type net from "node:net";
import type { RoundRobin } from "../egress/balancer.ts";
import { Dial } from "../egress/dial.ts";
import { type Endpoint, endpointName } from "../egress/endpoint-source.ts";
import type { ClosingPeer, ConnectionSide } from "../plugin/connection-filter.ts";
import type { PluginUse, PropertyValue } from "../plugin/contract.ts";
import type { PluginError } from "../plugin/plugin-error.ts";
import { ChunkedBody } from "../proxy/body-buffer.ts";
import { ConnectionSlot, type SlotConnection } from "../proxy/connection-slot.ts";
import { KeptProperties } from "../proxy/kept-properties.ts";
import type { ConnectionRecord } from "../telemetry/connection-log.ts";
import type { Log } from "../telemetry/log.ts";
import { type TcpFacts, tcpAttribute } from "./tcp-attributes.ts";
import { TcpEnd } from "./tcp-end.ts";

export interface TcpConnectionOptions {
  readonly facts: TcpFacts;
  /** In the order in which the client's bytes come to them. */
  readonly filters: readonly PluginUse[];
  /** The endpoints of the upstream; undefined when there is no such upstream. */
  readonly balancer: RoundRobin | undefined;
  readonly connectTimeoutMs: number;
  /** Most that a filter may hold back of one side. */
  readonly maxBufferBytes: number;
  /** Longest time to send what is left when one side closes and the other must. */
  readonly lingerMs: number;
  readonly log: Log;
  /** Called once, when both sides are closed and the filters know it. */
  readonly finished: (connection: TcpConnection, record: ConnectionRecord) => void;
}

/** How much waits for a connection to the upstream before the client is held back. */
const waitingBytes = 64 * 1024;

/** A TCP connection of a client, its filters, and the connection to the upstream behind them. */
export class TcpConnection implements SlotConnection {
  /** Kept by the set that it is in. */
  place = -1;
  readonly #options: TcpConnectionOptions;
  readonly #facts: TcpFacts;
  readonly #slots: readonly ConnectionSlot[];
  readonly #client: TcpEnd;
  readonly #startedAtMs = Date.now();
  readonly #started = performance.now();
  #upstream: TcpEnd | undefined;
  #dial: Dial | undefined;
  /** What may pass to the upstream, until it is connected. */
  readonly #waiting = new ChunkedBody();
  #waitingEnd = false;
  #holdsClient = false;
  #kept: KeptProperties | undefined;
  /** Why nothing passes any more. */
  #details: string | undefined;
  #plugin: string | undefined;
  #bytesReceived = 0;
  #bytesSent = 0;
  #clientClosed = false;
  #upstreamClosed = false;
  #isFinished = false;
  #quietSweeps = 0;
  #lingering: NodeJS.Timeout | undefined;

  constructor(socket: net.Socket, options: TcpConnectionOptions) {
    this.#options = options;
    this.#facts = options.facts;
    this.#slots = options.filters.map((use, index) => new ConnectionSlot(index, this, use));
    this.#client = new TcpEnd(socket, {
      arrived: (chunks, isLast) => this.#arrived("downstream", chunks, isLast),
      congested: (isCongested) => this.#congested("upstream", isCongested),
      closed: (peer, isWhole) => this.#clientIsClosed(peer, isWhole),
    });
  }

  get maxBufferBytes(): number {
    return this.#options.maxBufferBytes;
  }

  get isOver(): boolean {
    return this.#details !== undefined;
  }

  start(): void {
    const [first] = this.#slots;
    if (first === undefined) this.#connect();
    else first.start();
  }

  /** Counts the calls since something moved last. */
  sweep(): number {
    this.#quietSweeps += 1;
    return this.#quietSweeps;
  }

  /** Ends it at once, for that reason. */
  abort(details: string): void {
    if (this.#isFinished) return;
    this.#details ??= details;
    this.#client.reset();
    this.#dropUpstream();
  }

  passOpening(slot: ConnectionSlot): void {
    const next = this.#slots[slot.index + 1];
    if (this.#details !== undefined) return;
    if (next === undefined) this.#connect();
    else next.start();
  }

  passData(slot: ConnectionSlot, side: ConnectionSide, chunks: readonly Uint8Array[], isLast: boolean): void {
    if (this.#details !== undefined) return;
    const next = this.#slots[side === "downstream" ? slot.index + 1 : slot.index - 1];
    if (next === undefined) this.#send(side, chunks, isLast);
    else next.arrive(side, chunks, isLast);
  }

  hold(side: ConnectionSide): void {
    if (side === "downstream") this.#client.hold();
    else this.#upstream?.hold();
  }

  release(side: ConnectionSide): void {
    if (side === "downstream") this.#client.release();
    else this.#upstream?.release();
  }

  overflowed(slot: ConnectionSlot, side: ConnectionSide): void {
    this.#plugin = slot.plugin;
    this.abort(`${side}_data_too_large`);
  }

  closedBy(slot: ConnectionSlot): void {
    if (this.#details !== undefined) return;
    this.#plugin = slot.plugin;
    this.#details = "plugin_close";
    this.#close(this.#client);
    if (this.#upstream === undefined) this.#dropUpstream();
    else this.#close(this.#upstream);
  }

  failedClosed(slot: ConnectionSlot, error: PluginError): void {
    this.#plugin = slot.plugin;
    this.#options.log.error({ plugin: slot.plugin, fault: error.fault }, `a TCP connection ends: ${error.message}`);
    this.abort(`plugin_${error.fault}`);
  }

  failedOpen(slot: ConnectionSlot, error: PluginError): void {
    const message = `a TCP connection goes on without the plugin: ${error.message}`;
    this.#options.log.warn({ plugin: slot.plugin, fault: error.fault }, message);
  }

  property(path: readonly string[]): PropertyValue | undefined {
    const value = tcpAttribute(this.#facts, path) ?? this.#kept?.get(path);
    const [root, key = "", ...rest] = path;
    if (value !== undefined || root !== "filter_state" || !key.startsWith("wasm.")) return value;
    return this.#kept?.get([key.slice("wasm.".length), ...rest]);
  }

  keep(path: readonly string[], value: Uint8Array): boolean {
    this.#kept ??= new KeptProperties();
    return this.#kept.set(path, value);
  }

  #arrived(side: ConnectionSide, chunks: readonly Uint8Array[], isLast: boolean): void {
    this.#quietSweeps = 0;
    if (side === "downstream") this.#bytesReceived += bytesIn(chunks);
    if (this.#details !== undefined) return;
    const first = side === "downstream" ? this.#slots[0] : this.#slots.at(-1);
    if (first === undefined) this.#send(side, chunks, isLast);
    else first.arrive(side, chunks, isLast);
  }

  #send(side: ConnectionSide, chunks: readonly Uint8Array[], isLast: boolean): void {
    if (side === "upstream") {
      this.#bytesSent += bytesIn(chunks);
      this.#client.write(chunks, isLast);
    } else if (this.#upstream !== undefined) this.#upstream.write(chunks, isLast);
    else {
      for (const chunk of chunks) this.#waiting.append(chunk);
      this.#waitingEnd ||= isLast;
      if (this.#holdsClient || this.#waiting.length < waitingBytes) return;
      this.#holdsClient = true;
      this.#client.hold();
    }
  }

  #congested(source: ConnectionSide, isCongested: boolean): void {
    this.#quietSweeps = 0;
    if (isCongested) this.hold(source);
    else this.release(source);
  }

  #connect(): void {
    const { balancer, connectTimeoutMs } = this.#options;
    if (balancer === undefined) {
      this.abort("no_healthy_upstream");
      return;
    }
    this.#dial = new Dial(balancer, connectTimeoutMs, {
      connected: (socket, endpoint) => this.#connected(socket, endpoint),
      failed: (error) => {
        if (this.#details !== undefined) return;
        const { upstream } = this.#facts;
        this.#options.log.warn({ upstream, err: error }, "no endpoint of the upstream could be connected to");
        this.abort("upstream_connect_failed");
      },
    });
  }

  #connected(socket: net.Socket, endpoint: Endpoint): void {
    this.#dial = undefined;
    this.#facts.endpoint = endpointName(endpoint);
    this.#facts.upstreamLocalAddress = socket.localAddress;
    this.#facts.upstreamLocalPort = socket.localPort;
    const upstream = new TcpEnd(socket, {
      arrived: (chunks, isLast) => this.#arrived("upstream", chunks, isLast),
      congested: (isCongested) => this.#congested("downstream", isCongested),
      closed: (peer, isWhole) => this.#upstreamIsClosed(peer, isWhole),
    });
    this.#upstream = upstream;
    upstream.write(this.#waiting.take(), this.#waitingEnd);
    if (!this.#holdsClient) return;
    this.#holdsClient = false;
    this.#client.release();
  }

  #clientIsClosed(peer: ClosingPeer, isWhole: boolean): void {
    this.#clientClosed = true;
    if (!isWhole) this.#lost("client_reset", this.#client, this.#upstream);
    this.#tellClosed("downstream", peer);
    if (this.#upstream === undefined) this.#dropUpstream();
    this.#finish();
  }

  #upstreamIsClosed(peer: ClosingPeer, isWhole: boolean): void {
    this.#upstreamClosed = true;
    if (!isWhole && this.#upstream !== undefined) this.#lost("upstream_reset", this.#upstream, this.#client);
    this.#tellClosed("upstream", peer);
    this.#finish();
  }

  /** One end broke off: the other gets what it had said in full, or learns that something is missing. */
  #lost(details: string, broken: TcpEnd, other: TcpEnd | undefined): void {
    if (this.#details !== undefined) return;
    this.#details = details;
    if (other === undefined) return;
    if (broken.hasEnded) this.#close(other);
    else other.reset();
  }

  #tellClosed(side: ConnectionSide, peer: ClosingPeer): void {
    for (const slot of this.#slots) slot.closed(side, peer);
  }

  /** Lets an end send what was written to it, if its peer takes that in time. */
  #close(end: TcpEnd): void {
    end.close();
    this.#lingering ??= setTimeout(() => {
      this.#client.reset();
      this.#upstream?.reset();
    }, this.#options.lingerMs);
  }

  #dropUpstream(): void {
    this.#dial?.[Symbol.dispose]();
    this.#dial = undefined;
    if (this.#upstream === undefined) this.#upstreamClosed = true;
    else this.#upstream.reset();
  }

  #finish(): void {
    if (!this.#clientClosed || !this.#upstreamClosed || this.#isFinished) return;
    this.#isFinished = true;
    clearTimeout(this.#lingering);
    const { upstream, listener, id, peer, endpoint } = this.#facts;
    for (const slot of this.#slots) slot.end();
    this.#options.finished(this, {
      startedAtMs: this.#startedAtMs,
      durationMs: Math.round((performance.now() - this.#started) * 1000) / 1000,
      listener,
      connectionId: id,
      details: this.#details ?? "via_upstream",
      bytesReceived: this.#bytesReceived,
      bytesSent: this.#bytesSent,
      upstream,
      endpoint,
      plugin: this.#plugin,
      peer,
    });
  }
}

const bytesIn = (chunks: readonly Uint8Array[]): number => chunks.reduce((sum, { length }) => sum + length, 0);
