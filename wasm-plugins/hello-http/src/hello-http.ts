/** Takes requests as `fetch` sends them: Request, Response, Headers and streams are those of browsers. */
import { version } from "../../kit/guest/version.ts";

/** The host is the upstream `people` of the sidecar, which must be granted. */
const whoAmI = "http://people/whoami";

export async function answer(request: Request): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  switch (pathname.replace(/^\/hello/, "")) {
    case "":
    case "/":
      return greeting(searchParams.get("name") ?? "stranger");
    case "/echo":
      return new Response(request.body, { headers: contentTypeOf(request) });
    case "/shout":
      return new Response(request.body?.pipeThrough(shouting()) ?? null, { headers: contentTypeOf(request) });
    case "/whoami":
      return greeting(await nameOf(request));
    default:
      return Response.json({ error: "there is nothing here" }, { status: 404 });
  }
}

const greeting = (name: string): Response =>
  Response.json({ greeting: `hello ${name}` }, { headers: { "x-hello-version": version } });

/** Asks an upstream whose token it is. */
async function nameOf({ headers }: Request): Promise<string> {
  const answered = await fetch(whoAmI, { headers: { authorization: headers.get("authorization") ?? "" } });
  return answered.ok ? answered.text() : "stranger";
}

/** Makes ASCII letters large, chunk by chunk: what came in goes out before the rest is there. */
function shouting(): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  return new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk.map((byte) => (byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte)));
    },
  });
}

function contentTypeOf({ headers }: Request): Record<string, string> {
  return { "content-type": headers.get("content-type") ?? "application/octet-stream" };
}

interface FetchEvent extends Event {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

/** Node has the same classes but no such event: there, tests call `answer`. */
if (typeof addEventListener === "function")
  addEventListener("fetch", (event) => {
    const { request } = event as FetchEvent;
    (event as FetchEvent).respondWith(
      answer(request).catch((error: unknown) => {
        console.error(`${request.method} ${request.url} failed:`, error);
        return Response.json({ error: "the service failed" }, { status: 500 });
      }),
    );
  });
