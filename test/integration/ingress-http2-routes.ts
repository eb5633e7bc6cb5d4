/** Ways to a backend, and one that echoes over HTTP/2. */
import type http2 from "node:http2";

export const toBackend = { routes: [{ match: { prefix: "/" }, to: { upstream: "backend" } }] };
export const through = (...filters: string[]) => ({
  routes: [{ match: { prefix: "/" }, to: { upstream: "backend" }, filters }],
});
export const http2At = (address: string) => ({ backend: { endpoints: [address], protocol: "http2" } });
export const http1At = (address: string) => ({ backend: { endpoints: [address] } });

/** Answers with the head and the body that came, as JSON. */
export function echo(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
  const chunks: Buffer[] = [];
  let trailers: http2.IncomingHttpHeaders = {};
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("trailers", (received) => {
    trailers = received;
  });
  stream.on("end", () => {
    stream.respond({ ":status": 200, "x-kept": "yes", te: "trailers" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-trailer": "end" }));
    stream.end(JSON.stringify({ headers, trailers, body: Buffer.concat(chunks).toString("latin1") }));
  });
}
