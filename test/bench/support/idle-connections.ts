/**
 * `idle-connections.ts ADDRESS COUNT`: opens HTTP/2 connections with prior knowledge, exchanges SETTINGS on each, says
 * `open COUNT` and holds them until it is ended, answering pings. A connection that closes ends it with a sentence.
 */
import net from "node:net";

const [address = "", count = ""] = process.argv.slice(2);
const [host = "", port = ""] = address.split(":");
const wanted = Number(count);
/** So many are dialled together; fewer than what waits for an accept at most. */
const together = 100;

const hello = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);
const settingsAck = Buffer.from([0, 0, 0, 4, 1, 0, 0, 0, 0]);
const frame = { settings: 4, ping: 6, goaway: 7 } as const;
const ack = 1;

/** Resolves once the server's SETTINGS came and it has acknowledged ours. */
function open(number: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port: Number(port) }, () => socket.write(hello));
    let received: Buffer = Buffer.alloc(0);
    let exchanged = 0;
    socket.on("data", (chunk: Buffer) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      while (received.length >= 9) {
        const end = 9 + received.readUIntBE(0, 3);
        if (received.length < end) return;
        const [type, flags = 0] = received.subarray(3, 5);
        const isAck = (flags & ack) !== 0;
        if (type === frame.settings && !isAck) socket.write(settingsAck);
        if (type === frame.settings && ++exchanged === 2) resolve();
        if (type === frame.ping && !isAck) {
          const answer = Buffer.from(received.subarray(0, end));
          answer[4] = ack;
          socket.write(answer);
        }
        if (type === frame.goaway) fail(`connection ${number} got GOAWAY`);
        received = received.subarray(end);
      }
    });
    const fail = (why: string): void => reject(new Error(why));
    socket.on("error", (error) => fail(`connection ${number}: ${error.message}`));
    socket.on("close", () => {
      fail(`connection ${number} was closed before SETTINGS were exchanged`);
      process.stderr.write(`connection ${number} was closed\n`);
      process.exit(1);
    });
  });
}

for (let first = 0; first < wanted; first += together) {
  const batch = Math.min(together, wanted - first);
  await Promise.all(Array.from({ length: batch }, (_, index) => open(first + index + 1)));
}
console.log(`open ${wanted}`);
