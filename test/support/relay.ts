import { connect, createServer, type Socket } from "node:net";

/** A TCP relay before a server, so that a client can be cut off from a server that goes on. */
export interface Relay extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
  /** Ends all connections and lets none through until it is mended. */
  cut(): void;
  mend(): void;
}

/** Listens on a free loopback port and passes on to the address, `host:port`. */
export async function relayTo(target: string): Promise<Relay> {
  const [host, port] = target.split(":");
  const sockets = new Set<Socket>();
  let isCut = false;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
  };
  const cut = (): void => {
    isCut = true;
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((from) => {
    keep(from);
    if (isCut) {
      from.destroy();
      return;
    }
    const to = connect(Number(port), host);
    keep(to);
    from.pipe(to).pipe(from);
    from.once("close", () => to.destroy());
    to.once("close", () => from.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has no port");
  return {
    address: `127.0.0.1:${address.port}`,
    cut,
    mend: () => {
      isCut = false;
    },
    [Symbol.asyncDispose]: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
