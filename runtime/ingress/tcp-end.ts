import type net from "node:net";
import type { ClosingPeer } from "../plugin/connection-filter.ts";
import { Hold } from "../proxy/hold.ts";

/** What one end of a TCP connection tells. */
export interface TcpEndReceiver {
  /** The peer sent something; `isLast` when it sends no more. */
  arrived(chunks: readonly Uint8Array[], isLast: boolean): void;
  /** What was written waits to be sent, or does no more. */
  congested(isCongested: boolean): void;
  /** The last call. `isWhole` when both ways ended in order. */
  closed(peer: ClosingPeer, isWhole: boolean): void;
}

/** A socket, half of which may be closed, as one end of a connection that is passed through. */
export class TcpEnd {
  readonly #socket: net.Socket;
  readonly #reading: Hold;
  readonly #receiver: TcpEndReceiver;
  /** The peer sends no more. */
  #hasEnded = false;
  /** This process ended it before the peer did. */
  #isEndedHere = false;
  #isCongested = false;

  constructor(socket: net.Socket, receiver: TcpEndReceiver) {
    this.#socket = socket;
    this.#receiver = receiver;
    this.#reading = new Hold(socket);
    socket
      .on("error", ignore)
      .on("drain", () => this.#drained())
      .on("end", () => this.#ended())
      .on("close", () => this.#closed())
      .on("data", (chunk: Buffer) => receiver.arrived([chunk], false));
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  write(chunks: readonly Uint8Array[], isLast: boolean): void {
    const socket = this.#socket;
    if (!socket.writable) return;
    socket.cork();
    for (const chunk of chunks) socket.write(chunk);
    socket.uncork();
    if (socket.writableNeedDrain && !this.#isCongested) {
      this.#isCongested = true;
      this.#receiver.congested(true);
    }
    if (!isLast) return;
    if (!this.#hasEnded) this.#isEndedHere = true;
    socket.end();
  }

  /** Reads nothing for as long as anybody holds it. */
  hold(): void {
    this.#reading.add();
  }

  release(): void {
    this.#reading.remove();
  }

  /** Sends what was written, then closes. */
  close(): void {
    if (!this.#hasEnded) this.#isEndedHere = true;
    this.#socket.destroySoon();
  }

  /** Closes at once; the peer learns that something is missing. */
  reset(): void {
    if (!this.#hasEnded) this.#isEndedHere = true;
    // A socket on which a shutdown is under way cannot be reset, and would not close by it.
    if (this.#socket.writableEnded) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  #ended(): void {
    this.#hasEnded = true;
    this.#receiver.arrived([], true);
  }

  #drained(): void {
    if (!this.#isCongested) return;
    this.#isCongested = false;
    this.#receiver.congested(false);
  }

  #closed(): void {
    this.#drained();
    this.#receiver.closed(
      this.#isEndedHere ? "local" : "remote",
      this.#hasEnded && this.#socket.writableFinished && !this.#socket.errored,
    );
  }
}

const ignore = (): void => undefined;
