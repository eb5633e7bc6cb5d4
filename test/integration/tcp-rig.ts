/** What the tests of TCP listeners share: a real listener between real sockets, with guests written in the test. */
import { once } from "node:events";
import net from "node:net";
import { Writable } from "node:stream";
import { stringify } from "yaml";
import { configurationSchema } from "../../runtime/config/schema.ts";
import { Upstreams } from "../../runtime/egress/upstreams.ts";
import { TcpIngress, type TcpIngressOptions } from "../../runtime/ingress/tcp-ingress.ts";
import { makeArtifact } from "../../runtime/plugin/artifact.ts";
import { proxyWasmEngine } from "../../runtime/proxy-wasm/engine.ts";
import type { ConnectionRecord } from "../../runtime/telemetry/connection-log.ts";
import { createLog } from "../../runtime/telemetry/log.ts";
import { openRegistry } from "../support/plugin-registry.ts";
import { type GuestText, guestText, type PlaceText } from "../support/proxy-wasm-guest.ts";
import { assemble } from "../support/wat.ts";

interface TcpRigOptions {
  /** Addresses of the upstream `backend`. */
  readonly endpoints: readonly string[];
  /** The listener, without its address and destination. */
  readonly listener?: object;
  /** More of the section `ingress`. */
  readonly ingress?: object;
  /** Plugins by name: their texts. */
  readonly plugins?: Readonly<Record<string, (text: PlaceText) => GuestText>>;
  /** More of the plugins' manifests. */
  readonly manifest?: object;
  readonly lingerMs?: number;
  readonly services?: Parameters<typeof openRegistry>[0];
}

export interface TcpRig extends AsyncDisposable {
  readonly tcp: TcpIngress;
  /** Deploys a plugin, in place of the one of that name. */
  deploy(name: string, build: (text: PlaceText) => GuestText): Promise<void>;
  readonly records: readonly ConnectionRecord[];
  /** Parses a section `ingress` with that listener, as the configuration file would. */
  section(listener: object): TcpIngressOptions["config"];
  expose(): Promise<string>;
  /** A client's connection to the listener. */
  connect(): Promise<Client>;
  /** What a connection of its own gets for a text that it ends with; rejects when that does not end in order. */
  answer(text: string): Promise<string>;
}

export async function openTcpRig(options: TcpRigOptions): Promise<TcpRig> {
  await using opening = new AsyncDisposableStack();
  const { registry, metrics } = opening.use(openRegistry({ engines: [proxyWasmEngine()], ...options.services }));
  const deploy: TcpRig["deploy"] = async (name, build) => {
    const manifest = stringify({ name, kind: "filter", ...options.manifest });
    const module = await assemble(name, guestText(build));
    await registry.deploy(makeArtifact(module, `${name}.wasm`, { text: manifest, path: `${name}.yaml` }));
  };
  for (const [name, build] of Object.entries(options.plugins ?? {})) await deploy(name, build);
  const log = createLog({ level: "silent", destination: new Writable({ write: (_chunk, _encoding, done) => done() }) });
  const upstreams = opening.use(
    new Upstreams({
      upstreams: configurationSchema.parse({ upstreams: { backend: { endpoints: options.endpoints } } }).upstreams,
      log,
    }),
  );
  const section = (listener: object): TcpIngressOptions["config"] => {
    const tcp = [{ listen: "127.0.0.1:0", to: { upstream: "backend" }, ...listener }];
    return configurationSchema.parse({ ingress: { tcp, ...options.ingress } }).ingress;
  };
  const records: ConnectionRecord[] = [];
  const tcp = opening.use(
    await TcpIngress.open({
      config: section(options.listener ?? {}),
      plugins: registry,
      upstreams,
      log,
      metrics,
      onComplete: (record) => records.push(record),
      ...(options.lingerMs === undefined ? {} : { lingerMs: options.lingerMs }),
    }),
  );
  const connect = (): Promise<Client> => Client.to(tcp.addresses[0] ?? "");
  const owned = opening.move();
  return {
    tcp,
    deploy,
    records,
    section,
    expose: () => metrics.expose(),
    connect,
    answer: async (text) => {
      using client = await connect();
      client.socket.end(text);
      await client.closed;
      if (!client.hasEnded)
        throw client.error ?? new Error(`the connection closed before its end; it got '${client.text}'`);
      return client.text;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A socket that keeps what it gets. */
export class Client implements Disposable {
  readonly socket: net.Socket;
  readonly closed: Promise<void>;
  readonly ended: Promise<void>;
  text = "";
  hasEnded = false;
  error: Error | undefined;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
    this.ended = new Promise((resolve) => socket.once("end", () => resolve()));
    socket
      .on("data", (chunk: Buffer) => {
        this.text += chunk.toString("latin1");
      })
      .on("end", () => {
        this.hasEnded = true;
      })
      .on("error", (error) => {
        this.error = error;
      });
  }

  static async to(address: string): Promise<Client> {
    const socket = net.connect({ host: "127.0.0.1", port: Number(address.split(":").at(-1)), allowHalfOpen: true });
    const client = new Client(socket);
    await once(socket, "connect");
    return client;
  }

  /** Resolves when it got that much. */
  async got(text: string): Promise<void> {
    while (!this.text.includes(text)) await Promise.race([once(this.socket, "data"), this.#failedToGet(text)]);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  async #failedToGet(text: string): Promise<never> {
    await this.closed;
    throw new Error(`the connection closed before '${text}' came; it got '${this.text}'`);
  }
}

export interface TcpServer extends AsyncDisposable {
  readonly address: string;
  readonly sockets: readonly net.Socket[];
}

/** A server whose sockets stay half open, and are the test's. */
export async function serveTcp(accept: (socket: net.Socket) => void): Promise<TcpServer> {
  const sockets: net.Socket[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    accept(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    address: `127.0.0.1:${address.port}`,
    sockets,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A server that sends back what it gets, and ends when its client does. */
export const serveTcpEcho = (): Promise<TcpServer> => serveTcp((socket) => socket.pipe(socket));
