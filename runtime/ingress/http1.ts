import type net from "node:net";
import type { MessageFault } from "../http1/message-fault.ts";
import type { RequestHead, RequestLine } from "../http1/request-head.ts";
import { Http1Server } from "../http1/server.ts";
import type { RequestReceiver, Response } from "../http1/server-contract.ts";
import type { ConnectionFacts, Serve } from "../proxy/exchange.ts";
import { factsOf } from "./connection-facts.ts";
import { Http1Exchange } from "./http1-exchange.ts";
import { requestFields } from "./http1-request.ts";

export interface Http1IngressOptions {
  readonly serve: Serve;
  readonly maxHeaderBytes: number;
  /** A client has this long to send a head. */
  readonly headTimeoutMs: number;
  /** Connections without a request are closed after this. */
  readonly idleConnectionMs: number;
  /** Called for each request that was refused before there was an exchange. */
  readonly refused: (fault: MessageFault, connection: ConnectionFacts, line: RequestLine | undefined) => void;
}

/** Makes an exchange of every request that comes by HTTP/1.1. */
export class Http1Ingress {
  readonly #serve: Serve;
  readonly #server: Http1Server<ConnectionFacts>;

  constructor(options: Http1IngressOptions) {
    this.#serve = options.serve;
    this.#server = new Http1Server({
      onRequest: (response, head, connection) => this.#request(response, head, connection),
      onRefused: options.refused,
      limits: { maxHeadBytes: options.maxHeaderBytes },
      headTimeoutMs: options.headTimeoutMs,
      idleTimeoutMs: options.idleConnectionMs,
    });
  }

  /** Takes over the connection of that number; `received` was read from it already. */
  accept(socket: net.Socket, id: number, received?: Buffer): void {
    this.#server.accept(socket, factsOf(socket, id, "HTTP/1.1"), received);
  }

  /** Connections close once they are idle, and responses that begin now say so; resolves when there are none left. */
  drain(): Promise<void> {
    return this.#server.drain();
  }

  /** Closes everything at once. */
  close(): Promise<void> {
    return this.#server.close();
  }

  #request(response: Response, head: RequestHead, connection: ConnectionFacts): RequestReceiver {
    const headers = requestFields(head, connection.scheme);
    const facts: ConnectionFacts = head.minor === 1 ? connection : { ...connection, protocol: "HTTP/1.0" };
    return new Http1Exchange(response).begin(this.#serve, facts, headers, head.body === 0);
  }
}
