import type { ImportedInterface } from "../provider.ts";

/** What a guest holds to ask for a connection with; nothing answers. */
class Network implements Disposable {
  [Symbol.dispose](): void {
    // There is nothing behind it.
  }
}

/** There is never one of these. */
class ResolveAddressStream {}
class TcpSocket {}
class UdpSocket {}
class IncomingDatagramStream {}
class OutgoingDatagramStream {}

const refuse = (): never => {
  throw "access-denied";
};

const without = (name: string, functions: Readonly<Record<string, unknown>>): ImportedInterface => ({
  name: `wasi:sockets/${name}`,
  versions: "0.2",
  waiting: [],
  make: () => functions,
});

/** `wasi:sockets` without a network: guests whose standard library imports it run, and are refused every socket and every name. */
export const socketImports: readonly ImportedInterface[] = [
  without("network", { Network, networkErrorCode: () => undefined }),
  without("instance-network", { instanceNetwork: () => new Network() }),
  without("ip-name-lookup", { ResolveAddressStream, resolveAddresses: refuse }),
  without("tcp", { TcpSocket }),
  without("tcp-create-socket", { createTcpSocket: refuse }),
  without("udp", { UdpSocket, IncomingDatagramStream, OutgoingDatagramStream }),
  without("udp-create-socket", { createUdpSocket: refuse }),
];
