import type { Socket } from "node:net";
import type { DateField } from "./date-field.ts";
import type { FlushTurn } from "./flush-turn.ts";
import type { Http1Limits } from "./limits.ts";
import { MessageFault } from "./message-fault.ts";
import { Outflow } from "./outflow.ts";
import type { RequestHead, RequestLine } from "./request-head.ts";
import { RequestParser, type RequestSink } from "./request-parser.ts";
import type { RequestReceiver } from "./server-contract.ts";
import { ServerExchange } from "./server-exchange.ts";
import { statusLine } from "./status-line.ts";

/** What the connections of one server share. */
export interface ServerShared {
  readonly limits: Http1Limits;
  readonly turn: FlushTurn;
  readonly date: DateField;
  readonly isDraining: boolean;
  readonly headTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /**
   * How long a connection stays readable after it was closed for writing: closing at once while the client still sends makes
   * its kernel throw the answer away.
   */
  readonly lingerMs: number;
}

/** What a connection tells its server. */
export interface ConnectionEvents {
  request(exchange: ServerExchange, head: RequestHead): RequestReceiver;
  refused(fault: MessageFault, line: RequestLine | undefined): void;
  closed(): void;
}

/** Octets of requests that come ahead of their turn; with more of them the socket is not read on. */
const maxRestBytes = 16 * 1024;
const requestTimeout = new MessageFault(408, "request_head_timeout", "the request's head took too long");

/**
 * A client's connection: takes one request after the other out of its octets; those that come ahead of their turn wait.
 */
export class ServerConnection implements RequestSink {
  readonly socket: Socket;
  readonly shared: ServerShared;
  readonly outflow: Outflow;
  readonly #events: ConnectionEvents;
  readonly #parser: RequestParser;
  #exchange: ServerExchange | undefined;
  /** Octets behind the request that is being answered. */
  #rest: Buffer | undefined;
  #isReading = false;
  /** Nothing of what the client sends is wanted any more. */
  #isClosing = false;
  #isClosed = false;
  /** Milliseconds since the connection came to what it does now; counted by `sweep`. */
  #quietMs = 0;
  /** Milliseconds since it was closed for writing. */
  #lingeredMs = 0;

  constructor(socket: Socket, shared: ServerShared, events: ConnectionEvents) {
    this.socket = socket;
    this.shared = shared;
    this.#events = events;
    this.outflow = new Outflow(socket, shared.turn);
    this.#parser = new RequestParser(shared.limits, this);
    socket.on("data", (bytes: Buffer) => this.receive(bytes));
    socket.on("end", () => this.#ended());
    socket.on("drain", () => this.#drained());
    socket.on("error", () => undefined);
    socket.on("close", () => this.#gone());
  }

  /** Takes octets that came from the socket. */
  receive(bytes: Buffer): void {
    if (this.#isClosing) return;
    if (this.#rest === undefined) this.#read(bytes);
    else this.#keep(Buffer.concat([this.#rest, bytes]));
  }

  /** Called at intervals: ends what takes too long. */
  sweep(passedMs: number): void {
    this.#quietMs += passedMs;
    const { headTimeoutMs, idleTimeoutMs, lingerMs } = this.shared;
    if (this.#isClosing) {
      // A slow client may take as long for the last of an answer as an idle one may stay.
      const isSent = this.socket.writableLength === 0;
      if (isSent) this.#lingeredMs += passedMs;
      if (this.#lingeredMs >= lingerMs || this.#quietMs >= idleTimeoutMs) this.socket.destroy();
    } else if (this.#exchange !== undefined) {
      // The rest of a request that was answered already; what an open exchange may take is not for the connection to say.
      if (this.#exchange.isAnswered && this.#quietMs >= headTimeoutMs) this.socket.destroy();
    } else if (this.#parser.isInHead) {
      if (this.#quietMs >= headTimeoutMs) this.#refuse(requestTimeout);
    } else if (this.#quietMs >= idleTimeoutMs) this.socket.destroy();
  }

  /** Closes now when no request is being answered; half a head is not waited for. */
  drain(): void {
    if (this.#exchange === undefined && !this.#isClosing) this.#close(false);
  }

  /** The response has been sent; called by the exchange. */
  answered(exchange: ServerExchange): void {
    if (exchange !== this.#exchange || this.#isClosing) return;
    this.#quietMs = 0;
    if (!exchange.staysOpen) {
      this.#close(!exchange.isReceived || this.#rest !== undefined);
      return;
    }
    if (exchange.isReceived) this.#next();
    // What is left of the request is read and dropped, so that the client comes to reading the answer.
    else this.socket.resume();
  }

  /** The exchange cannot be finished; called by it. */
  abort(withReset: boolean): void {
    this.#isClosing = true;
    this.outflow.flush();
    if (withReset) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  /** What is left of the request that is being read, at least. */
  get left(): number {
    return this.#parser.left;
  }

  #read(bytes: Buffer): void {
    let at = 0;
    this.#isReading = true;
    try {
      while (at < bytes.length && !this.#isClosing) {
        // What comes behind a request waits for its answer, and for the client to take the answers so far.
        if (this.#exchange === undefined ? this.outflow.isCongested : !this.#parser.isInBody) break;
        if (this.#exchange === undefined && !this.#parser.isInHead) this.#quietMs = 0;
        at = this.#parser.read(bytes, at, bytes.length);
      }
    } catch (error) {
      if (error instanceof MessageFault) this.#refuse(error);
      else {
        this.abort(false);
        throw error;
      }
    } finally {
      this.#isReading = false;
    }
    if (at < bytes.length && !this.#isClosing) this.#keep(at === 0 ? bytes : bytes.subarray(at));
  }

  /** Octets that come ahead of their turn. As long as they are few the socket is read, to learn of its end. */
  #keep(bytes: Buffer): void {
    this.#rest = bytes;
    if (bytes.length >= maxRestBytes) this.socket.pause();
  }

  requestHead(head: RequestHead): void {
    const exchange = new ServerExchange(this, head);
    this.#exchange = exchange;
    exchange.receiver = this.#events.request(exchange, head);
    if (this.#isClosed) exchange.gone();
    else exchange.invite();
  }

  bodyPiece(bytes: Buffer, start: number, end: number, isLast: boolean): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    if (isLast) exchange.isReceived = true;
    if (!exchange.isAnswered) {
      const chunk = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
      exchange.receiver?.data(chunk, isLast);
    }
    if (isLast) this.#received(exchange);
  }

  bodyEnd(trailers: string[]): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    exchange.isReceived = true;
    if (!exchange.isAnswered) exchange.receiver?.end(trailers);
    this.#received(exchange);
  }

  /** All of the request has come. */
  #received(exchange: ServerExchange): void {
    // An answer that came while the end was told has moved the connection on already.
    if (exchange === this.#exchange && exchange.isAnswered && !this.#isClosing) this.#next();
  }

  #next(): void {
    this.#exchange = undefined;
    this.#quietMs = 0;
    if (this.shared.isDraining) this.#close(false);
    else if (this.#rest !== undefined) this.#readRest();
    else if (this.socket.isPaused()) this.socket.resume();
  }

  #readRest(): void {
    const rest = this.#rest;
    if (rest === undefined || this.#isReading || this.#exchange !== undefined || this.outflow.isCongested) return;
    this.#rest = undefined;
    if (this.socket.isPaused()) this.socket.resume();
    this.#read(rest);
  }

  #drained(): void {
    this.#exchange?.drained();
    this.#readRest();
  }

  /** One answer, and nothing more is read. */
  #refuse(fault: MessageFault): void {
    const exchange = this.#exchange;
    if (exchange?.hasBegun) {
      this.abort(true);
      return;
    }
    this.#isClosing = true;
    this.#events.refused(fault, this.#parser.line);
    exchange?.gone();
    const body = `${fault.message}\n`;
    const { date } = this.shared;
    this.outflow.text(
      `${statusLine(fault.status)}content-type: text/plain; charset=utf-8\r\ncontent-length: ${body.length}\r\n${date.line}connection: close\r\n\r\n${body}`,
    );
    this.#close(true);
  }

  /** Ends the connection once everything was sent; `isUnread`: the client may still be sending. */
  #close(isUnread: boolean): void {
    this.#isClosing = true;
    this.#quietMs = 0;
    this.#rest = undefined;
    this.outflow.whenFlushed(() => {
      if (isUnread) {
        this.socket.resume();
        this.socket.end();
      } else this.socket.destroySoon();
    });
  }

  /** The client has closed its side: it wants nothing any more. */
  #ended(): void {
    if (this.#exchange !== undefined || this.#isClosing) this.socket.destroy();
    else this.#close(false);
  }

  #gone(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isClosing = true;
    this.outflow.clear();
    this.#rest = undefined;
    this.#exchange?.gone();
    this.#events.closed();
  }
}
