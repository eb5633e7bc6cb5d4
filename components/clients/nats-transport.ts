/**
 * Loads the client. Of a server that accepts a connection and then says nothing it leaves the socket open, one for every attempt; here
 * the socket is closed with the attempt.
 */
export async function loadNats(): Promise<typeof import("nats")> {
  const [nats, { NodeTransport }] = await Promise.all([import("nats"), import("nats/lib/src/node_transport.js")]);
  const { prototype } = NodeTransport;
  if (Object.hasOwn(prototype, mended)) return nats;
  const { connect } = prototype;
  Object.defineProperty(prototype, mended, { value: true });
  prototype.connect = async function (server, options) {
    const timer = setTimeout(() => {
      if (!this.connected) this.socket?.destroy();
    }, options.timeout ?? patienceMs);
    try {
      await connect.call(this, server, options);
    } finally {
      clearTimeout(timer);
    }
  };
  return nats;
}

/** The client's own, where it is told none. */
const patienceMs = 20_000;
const mended = Symbol("closes the sockets of silent servers");
