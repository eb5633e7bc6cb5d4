/**
 * `wasi:http/incoming-handler` on Request and Response, with bodies as they come. The engine has an event `fetch` of its own, but an
 * instance gets that once, and an instance of the sidecar serves many requests, one after the other.
 */

import type { IncomingRequest } from "wasi:http/types@0.2.10";
import { Fields, IncomingBody, OutgoingBody, OutgoingResponse, ResponseOutparam } from "wasi:http/types@0.2.10";
import type { InputStream, OutputStream } from "wasi:io/streams@0.2.10";
import { errorText } from "../polyfill/describe.ts";
import { trailersOf } from "./trailers.ts";

export type Answer = (request: Request) => Promise<Response>;

const mostAtOnce = 65_536n;
/** What is said of one connection, and not of the message. */
const hopByHop = /^(connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade|host)$/;
const dispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for("dispose");

/** What a component exports as `incomingHandler`. What `answer` throws is logged and answered by 500. */
export function serving(answer: Answer) {
  return {
    async handle(incoming: IncomingRequest, out: ResponseOutparam): Promise<void> {
      const body = incoming.consume();
      const stream = body.stream();
      try {
        const request = requestOf(incoming, stream);
        await send(await answer(request).catch((error: unknown) => failed(request, error)), out);
      } finally {
        stream[dispose]();
        IncomingBody.finish(body)[dispose]();
        incoming[dispose]();
      }
    },
  };
}

function failed({ method, url }: Request, error: unknown): Response {
  console.error(`${method} ${url} failed:`, errorText(error));
  return Response.json({ error: "the service failed" }, { status: 500 });
}

function requestOf(incoming: IncomingRequest, stream: InputStream): Request {
  const method = incoming.method();
  const verb = method.tag === "other" ? method.val : method.tag.toUpperCase();
  const scheme = incoming.scheme()?.tag === "HTTPS" ? "https" : "http";
  const url = `${scheme}://${incoming.authority() ?? "localhost"}${incoming.pathWithQuery() ?? "/"}`;
  const headers = new Headers();
  for (const [name, value] of incoming.headers().entries())
    if (!hopByHop.test(name)) headers.append(name, String.fromCharCode(...value));
  const init: RequestInit & { duplex?: "half" } = { method: verb, headers };
  if (verb !== "GET" && verb !== "HEAD") Object.assign(init, { body: readable(stream), duplex: "half" });
  return new Request(url, init);
}

/** Reads no more than it is asked for. */
function readable(stream: InputStream): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      pull(controller) {
        try {
          controller.enqueue(new Uint8Array(stream.blockingRead(mostAtOnce)));
        } catch (error) {
          if (Object(Object(error).payload).tag === "closed") controller.close();
          else controller.error(new Error("the request broke off", { cause: error }));
        }
      },
    },
    { highWaterMark: 0 },
  );
}

async function send(response: Response, out: ResponseOutparam): Promise<void> {
  const head = [...response.headers].filter(([name]) => !hopByHop.test(name));
  const outgoing = new OutgoingResponse(fieldsOf(head));
  outgoing.setStatusCode(response.status);
  const body = outgoing.body();
  ResponseOutparam.set(out, { tag: "ok", val: outgoing });
  const stream = body.write();
  try {
    if (response.body !== null) await pour(response.body, stream);
  } finally {
    stream[dispose]();
  }
  const trailers = trailersOf(response);
  OutgoingBody.finish(body, trailers === undefined ? undefined : fieldsOf(trailers));
}

/** The body that is left unfinished when this fails is cut off for the client. */
async function pour(body: ReadableStream<Uint8Array>, stream: OutputStream): Promise<void> {
  const reader = body.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    for (let rest = read.value; rest.length > 0; ) {
      const room = Number(stream.checkWrite());
      if (room === 0) wait(stream);
      else {
        stream.write(rest.subarray(0, room));
        rest = rest.subarray(room);
      }
    }
    stream.flush();
  }
}

function wait(stream: OutputStream): void {
  const pollable = stream.subscribe();
  pollable.block();
  pollable[dispose]();
}

const fieldsOf = (entries: Iterable<readonly [string, string]>): Fields =>
  Fields.fromList(
    Array.from(entries, ([name, value]) => [name, Uint8Array.from(value, (character) => character.charCodeAt(0))]),
  );
