/**
 * The lean path of a request that is HTTP/2 on both sides and that no filter wants to see: its frames are passed on as they
 * are. Kept honest by `npm run bench:proxy`.
 */
import { errorCode } from "../http2/error-code.ts";
import { HeaderBlock } from "../http2/header-block.ts";
import type { Placed } from "../http2/live-set.ts";
import type { Http2Stream, StreamFault, StreamReceiver } from "../http2/stream-contract.ts";
import type { DeadlineQueue, Expiring } from "./deadline-queue.ts";
import { type Failure, noBytes, type ResponseFlag } from "./exchange.ts";
import { responseTimeout, tooLarge } from "./failures.ts";
import { passedHead, passedTrailers } from "./forwarded-sections.ts";
import type { HeaderList } from "./headers.ts";
import { isOrderlyEnd, responseBlock } from "./http2-sections.ts";
import { formLocalReply, grpcMessage, replyTo } from "./local-reply.ts";
import { SectionMemo } from "./section-memo.ts";

/** Who begins requests to an upstream. */
export interface Http2Requester {
  /** Undefined when there is no endpoint. */
  request(headers: HeaderBlock, endStream: boolean, receiver: StreamReceiver): Http2Stream | undefined;
}

/** What all forwardings of one route to one upstream have in common. */
export interface ForwardingTerms<Request extends ForwardedRequest> {
  readonly maxBodyBytes: number;
  /** Of the time from the end of the request to the end of the response; undefined without a limit. */
  readonly deadlines: DeadlineQueue | undefined;
  /** What the client is told when there is no endpoint. */
  readonly noEndpoint: Failure;
  /** What the client is told when the upstream ended the stream so. */
  failure(fault: StreamFault): Failure;
  /** The exchange is over, with a whole response or without. */
  finished(forwarding: Forwarding<Request>): void;
}

/** What is known of the request. */
export interface ForwardedRequest {
  /** As the client sent it; never changed. */
  readonly headers: HeaderList;
  readonly method: string;
  readonly isGrpc: boolean;
}

/** What may come of a request whose answer is complete before it is dropped with its stream. */
const droppedBytes = 64 * 1024;

/** One exchange between a stream of a client and one to an upstream. It hears the client; an `Answer` hears the upstream. */
export class Forwarding<Request extends ForwardedRequest> implements StreamReceiver, Expiring, Placed {
  readonly request: Request;
  readonly requestId: string;
  readonly startedMs = performance.now();
  bytesReceived = 0;
  bytesSent = 0;
  /** Of the response whose head was sent; 0 before. */
  status = 0;
  details = "";
  flag: ResponseFlag | undefined = undefined;
  #quietSweeps = 0;
  place = -1;
  expiresAtMs = 0;
  earlier: Expiring | undefined = undefined;
  later: Expiring | undefined = undefined;
  /** The stream to the upstream, for what is told of its connection. */
  upstream: Http2Stream | undefined = undefined;
  readonly #terms: ForwardingTerms<Request>;
  readonly #client: Http2Stream;
  #isOver = false;
  /** The client has not taken all that was sent. */
  #clientWaits = false;
  #droppedBytes = 0;

  constructor(terms: ForwardingTerms<Request>, client: Http2Stream, request: Request, requestId: string) {
    this.#terms = terms;
    this.#client = client;
    this.request = request;
    this.requestId = requestId;
  }

  /** The stream of the client. */
  get client(): Http2Stream {
    return this.#client;
  }

  /** Begins the request to the upstream with the head it shall get. */
  start(requester: Http2Requester, headers: HeaderBlock, endStream: boolean): void {
    this.upstream = requester.request(headers, endStream, new Answer(this));
    if (this.upstream === undefined) this.fail(this.#terms.noEndpoint);
    else if (endStream) this.#requestEnded();
  }

  /** Called at intervals; returns how many have passed since anything moved. */
  sweep(): number {
    return this.#quietSweeps++;
  }

  get requestArrived(): boolean {
    return this.#client.isReceived;
  }

  /** Answers in place of the upstream, or resets the exchange when it is too late for that. */
  fail(failure: Failure): void {
    if (this.#isOver) return;
    this.details = failure.details;
    this.flag ??= failure.flag;
    this.upstream?.reset(errorCode.CANCEL);
    if (this.status === 0) this.#reply(failure);
    else if (this.request.isGrpc) {
      const message = grpcMessage(failure.message);
      this.#client.sendHeaders(HeaderBlock.of("grpc-status", "14", "grpc-message", message), true);
    } else this.#client.reset(errorCode.INTERNAL_ERROR);
    this.#finish();
  }

  expired(): void {
    this.fail(responseTimeout);
  }

  /** Never called: the head of the request began it. */
  headers(): void {
    throw new Error("a request has one head");
  }

  data(bytes: Buffer, start: number, end: number, endStream: boolean): void {
    const length = end - start;
    if (this.#isOver) {
      this.#drop(length);
      return;
    }
    this.#quietSweeps = 0;
    this.bytesReceived += length;
    if (this.bytesReceived > this.#terms.maxBodyBytes) {
      this.fail(tooLarge(this.#terms.maxBodyBytes));
      return;
    }
    if (this.upstream?.sendData(bytes, start, end, endStream) === false) this.#client.pause();
    if (endStream) this.#requestEnded();
  }

  trailers(block: HeaderBlock): void {
    if (this.#isOver) return;
    this.upstream?.sendHeaders(passedTrailers(block), true);
    this.#requestEnded();
  }

  fault(fault: StreamFault): void {
    if (this.#isOver) return;
    this.flag = fault.origin === "protocol" ? "DPE" : "DC";
    this.details = "downstream_disconnect";
    this.upstream?.reset(errorCode.CANCEL);
    this.#finish();
  }

  drained(): void {
    this.#clientWaits = false;
    if (this.#isOver) this.#client.resume();
    else this.upstream?.resume();
  }

  answerHead(block: HeaderBlock, endStream: boolean): void {
    if (this.#isOver) return;
    this.#quietSweeps = 0;
    const passed = passedHead(block);
    this.#client.sendHeaders(passed.block, endStream);
    if (passed.isInterim) return;
    this.status = passed.status;
    if (endStream) this.#answered();
  }

  answerData(bytes: Buffer, start: number, end: number, endStream: boolean): void {
    if (this.#isOver) return;
    this.#quietSweeps = 0;
    this.bytesSent += end - start;
    if (!this.#client.sendData(bytes, start, end, endStream)) {
      this.#clientWaits = true;
      this.upstream?.pause();
    }
    if (endStream) this.#answered();
  }

  answerTrailers(block: HeaderBlock): void {
    if (this.#isOver) return;
    this.#client.sendHeaders(passedTrailers(block), true);
    this.#answered();
  }

  answerFault(fault: StreamFault): void {
    if (this.#isOver) return;
    if (this.status !== 0 && isOrderlyEnd(fault)) {
      this.#client.sendData(noBytes, 0, 0, true);
      this.#answered();
      return;
    }
    const failure = this.#terms.failure(fault);
    if (this.status === 0 || fault.origin !== "peer") {
      this.fail(failure);
      return;
    }
    this.details = failure.details;
    this.flag ??= failure.flag;
    this.#client.reset(fault.code);
    this.#finish();
  }

  answerDrained(): void {
    this.#client.resume();
  }

  #answered(): void {
    this.details = "via_upstream";
    if (!this.#client.isReceived) this.upstream?.reset(errorCode.CANCEL);
    this.#finish();
  }

  #requestEnded(): void {
    if (!this.#isOver) this.#terms.deadlines?.add(this);
  }

  #reply(failure: Failure): void {
    const { head, body } = formLocalReply(this.request.headers, replyTo(failure));
    const isSilent = body.length === 0 || this.request.method === "HEAD";
    const block = responseBlock(head, body.length === 0, new SectionMemo());
    this.status = Number(block.flat[1] ?? 0);
    this.#client.sendHeaders(block, isSilent);
    if (!isSilent) {
      this.bytesSent += body.length;
      this.#client.sendData(body, 0, body.length, true);
    }
  }

  /** What comes of the request after its answer. A reset would take the answer away from a client that has not read it. */
  #drop(length: number): void {
    this.#droppedBytes += length;
    if (this.#droppedBytes <= droppedBytes) return;
    if (this.#clientWaits) this.#client.pause();
    else this.#client.reset(errorCode.NO_ERROR);
  }

  #finish(): void {
    this.#isOver = true;
    // What comes of the request until the client has the answer is dropped.
    if (!this.#client.isReceived) this.#client.resume();
    this.#terms.deadlines?.remove(this);
    this.#terms.finished(this);
  }
}

/** Hears the upstream. */
class Answer implements StreamReceiver {
  readonly #forwarding: Forwarding<ForwardedRequest>;

  constructor(forwarding: Forwarding<ForwardedRequest>) {
    this.#forwarding = forwarding;
  }

  headers(block: HeaderBlock, endStream: boolean): void {
    this.#forwarding.answerHead(block, endStream);
  }

  data(bytes: Buffer, start: number, end: number, endStream: boolean): void {
    this.#forwarding.answerData(bytes, start, end, endStream);
  }

  trailers(block: HeaderBlock): void {
    this.#forwarding.answerTrailers(block);
  }

  fault(fault: StreamFault): void {
    this.#forwarding.answerFault(fault);
  }

  drained(): void {
    this.#forwarding.answerDrained();
  }
}
