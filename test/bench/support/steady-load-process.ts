/**
 * Asks over kept connections so many times a second, whether earlier requests were answered or not, and counts each from the
 * time it was due. Started by steady-load.ts: `steady-load-process.ts <host:port> <requests a second>`.
 */
import net from "node:net";
import { setInterval } from "node:timers";
import { nowMs, type SteadyLoadEvent } from "./steady-load.ts";

interface Connection {
  readonly socket: net.Socket;
  text: string;
  /** The request under way; negative when there is none. */
  request: number;
}

const [address = "", perSecond = ""] = process.argv.slice(2);
const [host = "", port = ""] = address.split(":");
const betweenMs = 1000 / Number(perSecond);
const connections = 64;
const unansweredMs = 10_000;
const request = `GET /orders HTTP/1.1\r\nhost: ${address}\r\naccept: */*\r\n\r\n`;
const endOfHead = "\r\n\r\n";

const due: number[] = [];
/** When the generator came to it; later than it was due when the machine gave it no time. */
const seen: number[] = [];
const took: number[] = [];
const free: Connection[] = [];
const waiting: number[] = [];
let waitingFrom = 0;
let failed = 0;
let served = "";
let isStopping = false;

const tell = (event: SteadyLoadEvent): void => void process.send?.(event);

function connect(): Promise<void> {
  const socket = net.connect({ host, port: Number(port), noDelay: true });
  const connection: Connection = { socket, text: "", request: -1 };
  socket.setEncoding("latin1");
  socket.on("data", (text: string) => receive(connection, text));
  socket.on("error", () => undefined);
  socket.on("close", () => {
    if (isStopping) return;
    if (connection.request >= 0) fail("the connection ended before the answer");
    const at = free.indexOf(connection);
    if (at >= 0) free.splice(at, 1);
    void connect();
  });
  return new Promise((resolve) => {
    socket.once("connect", () => {
      release(connection);
      resolve();
    });
  });
}

function release(connection: Connection): void {
  connection.request = -1;
  const next = waiting[waitingFrom];
  if (next === undefined) free.push(connection);
  else {
    waitingFrom++;
    send(connection, next);
  }
}

function send(connection: Connection, number: number): void {
  connection.request = number;
  connection.socket.write(request);
}

function receive(connection: Connection, text: string): void {
  connection.text += text;
  const end = connection.text.indexOf(endOfHead);
  if (end < 0) return;
  const length = Number(/content-length: (\d+)/i.exec(connection.text)?.[1] ?? 0);
  const whole = end + endOfHead.length + length;
  if (connection.text.length < whole) return;
  const at = nowMs();
  const body = connection.text.slice(end + endOfHead.length, whole);
  took[connection.request] = at - (due[connection.request] ?? 0);
  if (!connection.text.startsWith("HTTP/1.1 200 ")) fail(connection.text.slice(0, end).split("\r\n")[0] ?? "");
  else if (body !== served) {
    served = body;
    tell({ type: "changed", answer: body, at });
  }
  connection.text = connection.text.slice(whole);
  release(connection);
}

function fail(why: string): void {
  failed++;
  tell({ type: "failed", why });
}

function stop(): void {
  isStopping = true;
  clearInterval(timer);
  const last = nowMs();
  const end = (): void => {
    const open = due.length - took.reduce((count) => count + 1, 0);
    if (open > failed && nowMs() - last < unansweredMs) {
      setTimeout(end, 20);
      return;
    }
    tell({
      type: "ended",
      samples: { due: Float64Array.from(due), seen: Float64Array.from(seen), took: Float64Array.from(took) },
      failed: Math.max(failed, open),
    });
  };
  end();
}

await Promise.all(Array.from({ length: connections }, connect));
const begin = nowMs();
const timer = setInterval(() => {
  const now = nowMs();
  for (let at = begin + due.length * betweenMs; at <= now; at += betweenMs) {
    const number = due.push(at) - 1;
    seen.push(now);
    const connection = free.pop();
    if (connection === undefined) waiting.push(number);
    else send(connection, number);
  }
}, 1);
process.once("message", stop);
tell({ type: "begun" });
