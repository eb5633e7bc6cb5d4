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
