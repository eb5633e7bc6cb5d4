/** The application behind the proxies: answers each HTTP/1.1 request with the same bytes, for as little CPU as can be. */
import type { Socket } from "node:net";
import { listen } from "../../../runtime/listen.ts";

const body = Buffer.alloc(331, "x");
const answer = Buffer.concat([
  Buffer.from(
    `HTTP/1.1 200 OK\r\nServer: app\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: application/octet-stream\r\nContent-Length: ${body.length}\r\nX-Response: one\r\n\r\n`,
  ),
  body,
]);
const endOfHead = "\r\n\r\n";

/** The proxies send whole requests, one at a time, whose bodies hold no empty line. */
function serve(socket: Socket): void {
  let text = "";
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    const end = text.indexOf(endOfHead);
    if (end < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
    if (text.length < end + endOfHead.length + length) return;
    text = text.slice(end + endOfHead.length + length);
    socket.write(answer);
  });
}

const { address } = await listen("127.0.0.1:0", serve);
console.log(`serves ${address}`);
