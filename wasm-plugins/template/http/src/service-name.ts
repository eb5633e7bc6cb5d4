/** Takes requests as `fetch` sends them: Request, Response, Headers and streams are those of browsers. */
export async function answer(request: Request): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname.endsWith("/echo")) return new Response(request.body, { headers: contentTypeOf(request) });
  // The host of the address is an upstream of the sidecar, which must be granted.
  if (pathname.endsWith("/backend")) return fetch("http://backend/");
  return Response.json({ greeting: `hello ${searchParams.get("name") ?? "stranger"}` });
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
