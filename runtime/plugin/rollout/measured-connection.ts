import type { ClosingPeer, ConnectionFilter, ConnectionHost, ConnectionSide } from "../connection-filter.ts";
import type { BodyBuffer, FilterAction, PropertyValue } from "../contract.ts";
import type { PluginError } from "../plugin-error.ts";
import type { StreamEnded, StreamOutcome } from "./measured-stream.ts";

/** A TCP connection during a trial: what MeasuredStream is for streams. */
export class MeasuredConnection implements ConnectionFilter, ConnectionHost {
  readonly #host: ConnectionHost;
  readonly #ended: StreamEnded;
  #filter: ConnectionFilter | undefined;
  #isOver = false;

  private constructor(host: ConnectionHost, ended: StreamEnded) {
    this.#host = host;
    this.#ended = ended;
  }

  /** Begins the connection where `pool` says; throws what it throws, and then nothing is measured. */
  static open(
    pool: { openConnection(host: ConnectionHost): ConnectionFilter },
    host: ConnectionHost,
    ended: StreamEnded,
  ): ConnectionFilter {
    const connection = new MeasuredConnection(host, ended);
    connection.#filter = pool.openConnection(connection);
    return connection;
  }

  newConnection(): FilterAction {
    return this.#filter?.newConnection() ?? "continue";
  }

  downstreamData(endOfStream: boolean): FilterAction {
    return this.#filter?.downstreamData(endOfStream) ?? "continue";
  }

  upstreamData(endOfStream: boolean): FilterAction {
    return this.#filter?.upstreamData(endOfStream) ?? "continue";
  }

  downstreamClose(peer: ClosingPeer): void {
    this.#filter?.downstreamClose(peer);
  }

  upstreamClose(peer: ClosingPeer): void {
    this.#filter?.upstreamClose(peer);
  }

  end(): void {
    try {
      this.#filter?.end();
    } finally {
      this.#over("served");
    }
  }

  data(side: ConnectionSide): BodyBuffer | undefined {
    return this.#host.data(side);
  }

  resume(side: ConnectionSide): void {
    this.#host.resume(side);
  }

  settle(action: "continue" | "pause"): void {
    this.#host.settle(action);
  }

  close(side: ConnectionSide): void {
    this.#host.close(side);
  }

  failed(error: PluginError): void {
    this.#host.failed(error);
    this.#over("failed");
  }

  property(path: readonly string[]): PropertyValue | undefined {
    return this.#host.property(path);
  }

  setProperty(path: readonly string[], value: Uint8Array): boolean {
    return this.#host.setProperty(path, value);
  }

  #over(outcome: StreamOutcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#ended(outcome, undefined);
  }
}
