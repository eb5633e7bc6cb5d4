/** A step in a filter chain, of requests and responses. */
const bytesOf = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const textOf = (bytes) => String.fromCharCode(...bytes);

export const filter = {
  onRequest(request) {
    if (request.path.endsWith("/refused"))
      return { tag: "respond", val: { status: 418, headers: [], body: bytesOf("no") } };
    if (!request.path.endsWith("/changed")) return { tag: "pass" };
    const headers = [...request.headers.filter(([name]) => name !== "x-secret"), ["x-step", "1"]];
    return {
      tag: "forward",
      val: { ...request, path: "/new", headers, body: bytesOf(textOf(request.body).toUpperCase()) },
    };
  },
};

export const responseFilter = {
  onResponse(request, response) {
    if (request.path !== "/new") return { tag: "pass" };
    return {
      tag: "replace",
      val: { status: 202, headers: [["x-was", String(response.status)]], body: bytesOf(`<${textOf(response.body)}>`) },
    };
  },
};
