import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import type {
  ChannelCredentials,
  Client,
  ClientDuplexStream,
  ClientOptions,
  Metadata,
  MethodDefinition,
} from "@grpc/grpc-js";
import type { EtcdSettings } from "./etcd-settings.ts";
import { type TlsFiles, tlsFilesOf } from "./tls-settings.ts";

type Grpc = Pick<typeof import("@grpc/grpc-js"), "Client" | "Metadata" | "credentials">;

/** States of a channel, as grpc-js counts them. */
const channelState = { ready: 2, shutdown: 4 } as const;

const channelOptions: ClientOptions = {
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 2_000,
  // The server closes the connection of a client that asks more often than every 5 seconds, or while it waits for nothing.
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.keepalive_permit_without_calls": 0,
  // What is asked for in one turn is answered in one message; each value in it has a limit at the server.
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  "grpc.service_config_disable_resolution": 1,
  "grpc.enable_http_proxy": 0,
};

/** The members of a cluster that were configured, one of which is spoken to. */
export class EtcdEndpoints implements Disposable {
  readonly #endpoints: readonly EtcdEndpoint[];
  readonly #Metadata: typeof Metadata;
  #current = 0;

  /** Loads the client and makes what is needed to connect; nothing connects yet. */
  static async open(settings: EtcdSettings, component: string): Promise<EtcdEndpoints> {
    // Loaded here, so that only a sidecar with a component on etcd loads it.
    const grpc: Grpc = await import("@grpc/grpc-js");
    const files = await filesOf(settings, component);
    const endpoints = settings.endpoints.map((address) => {
      const { credentials, options } = securityOf(grpc, address, files);
      const client = new grpc.Client(address, credentials, { ...channelOptions, ...options });
      return new EtcdEndpoint(client, settings.requestTimeoutMs);
    });
    return new EtcdEndpoints(endpoints, grpc.Metadata);
  }

  private constructor(endpoints: readonly EtcdEndpoint[], metadata: typeof Metadata) {
    this.#endpoints = endpoints;
    this.#Metadata = metadata;
  }

  get count(): number {
    return this.#endpoints.length;
  }

  /** The one to speak to. */
  get current(): EtcdEndpoint {
    const endpoint = this.#endpoints[this.#current];
    if (endpoint === undefined) throw new RangeError("there is no endpoint");
    return endpoint;
  }

  /** Goes on to the next, unless someone else has gone on from this one already. */
  rotate(from: EtcdEndpoint): void {
    if (from === this.current) this.#current = (this.#current + 1) % this.#endpoints.length;
  }

  metadata(): Metadata {
    return new this.#Metadata();
  }

  /** Tells whenever the connection to the member that is spoken to has ended. */
  follow(lost: () => void): void {
    for (const endpoint of this.#endpoints) {
      endpoint.follow(() => {
        if (endpoint === this.current) lost();
      });
    }
  }

  [Symbol.dispose](): void {
    for (const endpoint of this.#endpoints) endpoint[Symbol.dispose]();
  }
}

/** One member of a cluster. The connection is made when it is needed, and again when it was lost. */
export class EtcdEndpoint implements Disposable {
  readonly #client: Client;
  readonly #timeoutMs: number;

  constructor(client: Client, timeoutMs: number) {
    this.#client = client;
    this.#timeoutMs = timeoutMs;
  }

  /** Rejects with the error of grpc-js, at the latest when the time for requests is up. */
  unary<Q, R>(method: MethodDefinition<Q, R>, request: Q, metadata: Metadata): Promise<R> {
    return new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = method;
      const options = { deadline: Date.now() + this.#timeoutMs };
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        options,
        (error, response) => {
          if (error !== null) reject(error);
          else if (response === undefined) reject(new TypeError(`${path} ended without an answer`));
          else resolve(response);
        },
      );
    });
  }

  stream<Q, R>(method: MethodDefinition<Q, R>, metadata: Metadata): ClientDuplexStream<Q, R> {
    return this.#client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      metadata,
      {},
    );
  }

  /** Tells whenever a connection has ended, until it is disposed of. */
  follow(lost: () => void): void {
    const channel = this.#client.getChannel();
    followState(channel, channel.getConnectivityState(false), lost);
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

function followState(channel: ReturnType<Client["getChannel"]>, before: number, lost: () => void): void {
  if (before === channelState.shutdown) return;
  channel.watchConnectivityState(before, Number.POSITIVE_INFINITY, (error) => {
    if (error) return;
    const now = channel.getConnectivityState(false);
    if (now === channelState.shutdown) return;
    if (before === channelState.ready) lost();
    followState(channel, now, lost);
  });
}

/** Sent in place of a name when there is none but an address, which TLS does not allow there. */
const nameless = "etcd.invalid";

/** How to speak to an address: without TLS, or with it and which name or address the certificate has to have. */
function securityOf(
  grpc: Grpc,
  address: string,
  files: TlsFiles | undefined,
): { readonly credentials: ChannelCredentials; readonly options: ClientOptions } {
  if (files === undefined) return { credentials: grpc.credentials.createInsecure(), options: {} };
  const { ca = null, key = null, cert = null, servername } = files;
  const host = address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  const isNameless = servername === undefined && isIP(host) !== 0;
  const verify = isNameless
    ? { checkServerIdentity: (_: string, shown: PeerCertificate) => checkServerIdentity(host, shown) }
    : {};
  const name = isNameless ? nameless : servername;
  return {
    credentials: grpc.credentials.createSsl(ca, key, cert, verify),
    options: name === undefined ? {} : { "grpc.ssl_target_name_override": name },
  };
}

async function filesOf({ tls }: EtcdSettings, component: string): Promise<TlsFiles | undefined> {
  return tls === undefined ? undefined : tlsFilesOf(tls, `the etcd of '${component}'`);
}
