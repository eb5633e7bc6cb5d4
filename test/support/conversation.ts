import { once } from "node:events";
import { connect } from "node:net";

/** A TCP connection as its client has it. */
export interface Conversation extends Disposable {
  /** `ADDRESS:PORT` of this end. */
  readonly address: string;
  say(text: string): void;
  /** Resolves when all that came begins with this; rejects when the other end hung up before. */
  heard(text: string): Promise<void>;
  /** Resolves when the other end has hung up. */
  readonly over: Promise<unknown>;
}

/** Connects to `ADDRESS:PORT`. */
export async function converse(address: string): Promise<Conversation> {
  const [host, port] = address.split(":");
  const socket = connect({ host, port: Number(port), noDelay: true }).setEncoding("utf8");
  await once(socket, "connect");
  let all = "";
  socket.on("data", (text: string) => {
    all += text;
  });
  const over = once(socket, "close");
  return {
    address: `${socket.localAddress}:${socket.localPort}`,
    say: (text) => void socket.write(text),
    heard: async (text) => {
      while (!all.startsWith(text)) {
        if (socket.closed) throw new Error(`heard ${JSON.stringify(all)}, not ${JSON.stringify(text)}`);
        await Promise.race([once(socket, "data"), over]);
      }
    },
    over,
    [Symbol.dispose]: () => void socket.destroy(),
  };
}
