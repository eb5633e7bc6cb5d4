/** Takes requests as `fetch` sends them: Request, Response, Headers and streams are those of browsers. */
import { withTrailers } from "../../kit/guest/trailers.ts";
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
      return shouted(request);
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

/** The body with large letters, chunk by chunk: what came in goes out before the rest is there. Its length is in the trailers. */
function shouted(request: Request): Response {
  let length = 0;
  const large = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      length += chunk.length;
      controller.enqueue(chunk.map((byte) => (byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte)));
    },
  });
  const response = new Response(request.body?.pipeThrough(large) ?? null, { headers: contentTypeOf(request) });
  return withTrailers(response, () => [["x-length", String(length)]]);
}

function contentTypeOf({ headers }: Request): Record<string, string> {
  return { "content-type": headers.get("content-type") ?? "application/octet-stream" };
}
