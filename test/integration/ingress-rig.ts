/** What the tests of the ingress share: a real ingress between real servers and sockets, and filters written in the test. */
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { Writable } from "node:stream";
import { configurationSchema } from "../../runtime/config/schema.ts";
import { Upstreams } from "../../runtime/egress/upstreams.ts";
import { Ingress, type IngressOptions } from "../../runtime/ingress/ingress.ts";
import type {
  FailPolicy,
  PluginSource,
  PluginUse,
  StreamFilter,
  StreamHost,
  UseOptions,
} from "../../runtime/plugin/contract.ts";
import { PluginError } from "../../runtime/plugin/plugin-error.ts";
import type { AccessRecord } from "../../runtime/telemetry/access-log.ts";
import { createLog } from "../../runtime/telemetry/log.ts";
import { Metrics } from "../../runtime/telemetry/metrics.ts";

export type Callbacks = Partial<StreamFilter>;
export type OpenFilter = (host: StreamHost, options: UseOptions) => Callbacks;

/** Plugins of a test, each a function that makes the callbacks of one stream; it counts what it hands out and gets back. */
export class Plugins implements PluginSource {
  readonly #plugins = new Map<string, { open: OpenFilter; fail: FailPolicy }>();
  /** Uses handed out and not disposed. */
  uses = 0;
  opened = 0;
  ended = 0;

  add(name: string, open: OpenFilter, fail: FailPolicy = "closed"): this {
    this.#plugins.set(name, { open, fail });
    return this;
  }

  /** Ids that plugins gave themselves. */
  readonly ids = new Map<string, string>();

  nameOf(id: string): string | undefined {
    return this.ids.get(id);
  }

  /** Names of those that are of kind service. */
  readonly services = new Set<string>();

  remove(name: string): void {
    this.#plugins.delete(name);
  }

  async use(plugin: string, options: UseOptions): Promise<PluginUse> {
    const plugins = this.#plugins;
    const own = this;
    if (options.configuration === "refuse") throw new PluginError(plugin, "1", "configuration", "it was refused");
    this.uses += 1;
    return {
      plugin,
      get fail() {
        return options.fail ?? plugins.get(plugin)?.fail ?? "closed";
      },
      get kind() {
        return own.services.has(plugin) ? ("service" as const) : ("filter" as const);
      },
      get ready() {
        return plugins.has(plugin);
      },
      open(host) {
        const found = plugins.get(plugin);
        if (found === undefined) throw new PluginError(plugin, "", "missing", `plugin '${plugin}' is not deployed`);
        const callbacks = found.open(host, options);
        own.opened += 1;
        return {
          requestHeaders: (end) => callbacks.requestHeaders?.(end) ?? "continue",
          requestBody: (end) => callbacks.requestBody?.(end) ?? "continue",
          requestTrailers: () => callbacks.requestTrailers?.() ?? "continue",
          responseHeaders: (end) => callbacks.responseHeaders?.(end) ?? "continue",
          responseBody: (end) => callbacks.responseBody?.(end) ?? "continue",
          responseTrailers: () => callbacks.responseTrailers?.() ?? "continue",
          end: () => {
            own.ended += 1;
            callbacks.end?.();
          },
        };
      },
      openConnection() {
        throw new PluginError(plugin, "1", "refused", "the plugins of a test take no connections");
      },
      async [Symbol.asyncDispose]() {
        own.uses -= 1;
      },
    };
  }
}

export interface Rig extends AsyncDisposable {
  readonly ingress: Ingress;
  readonly upstreams: Upstreams;
  readonly plugins: Plugins;
  readonly metrics: Metrics;
  readonly records: AccessRecord[];
  readonly port: number;
  /** Parses a section `ingress` as the configuration file would. */
  section(ingress: object): IngressOptions["config"];
  /** Resolves to the record of the next exchange that ends, or that ended and was not asked for yet. */
  record(): Promise<AccessRecord>;
  send(options: http.RequestOptions, body?: string | Uint8Array): Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  readonly trailers: NodeJS.Dict<string>;
}

interface RigOptions {
  readonly ingress: object;
  readonly upstreams?: object;
  readonly app?: string;
  readonly grpcApp?: string;
  readonly plugins?: Plugins;
  /** In place of plugins written in the test. */
  readonly source?: PluginSource;
  readonly timings?: Pick<IngressOptions, "headTimeoutMs" | "idleConnectionMs" | "idleStreamMs">;
}

export async function openRig(options: RigOptions): Promise<Rig> {
  const plugins = options.plugins ?? new Plugins();
  const section = (ingress: object) =>
    configurationSchema.parse({ ingress: { http: "127.0.0.1:0", ...ingress } }).ingress;
  const config = configurationSchema.parse({ upstreams: options.upstreams ?? {} });
  const log = createLog({ level: "silent", destination: new Writable({ write: (_chunk, _encoding, done) => done() }) });
  const metrics = new Metrics();
  const upstreams = new Upstreams({
    upstreams: config.upstreams,
    application: { http: options.app, grpc: options.grpcApp },
    log,
  });
  const filters = await upstreams.filterWith(options.source ?? plugins);
  const records: AccessRecord[] = [];
  const waiting: ((record: AccessRecord) => void)[] = [];
  let taken = 0;
  const ingress = await Ingress.open({
    config: section(options.ingress),
    plugins: options.source ?? plugins,
    upstreams,
    log,
    metrics,
    onComplete: (record) => {
      records.push(record);
      const waiter = waiting.shift();
      if (waiter === undefined) return;
      taken += 1;
      waiter(record);
    },
    ...options.timings,
  });
  const port = Number(ingress.address.split(":").at(-1));
  return {
    ingress,
    upstreams,
    plugins,
    metrics,
    records,
    port,
    section,
    record: () => {
      const known = records[taken];
      if (known === undefined) return new Promise((resolve) => waiting.push(resolve));
      taken += 1;
      return Promise.resolve(known);
    },
    send: (request, body) => send({ port, host: "127.0.0.1", agent: false, ...request }, body),
    [Symbol.asyncDispose]: async () => {
      await ingress[Symbol.asyncDispose]();
      await filters[Symbol.asyncDispose]();
      await upstreams[Symbol.asyncDispose]();
    },
  };
}

export async function send(options: http.RequestOptions, body?: string | Uint8Array): Promise<Answer> {
  const request = http.request(options);
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  return collect(response);
}

export async function collect(response: http.IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: Buffer.concat(chunks).toString("latin1"),
    trailers: response.trailers,
  };
}

export interface Server extends AsyncDisposable {
  readonly address: string;
  readonly server: http.Server;
}

/** A real HTTP server on a free port. */
export async function serve(listener: http.RequestListener): Promise<Server> {
  const server = http.createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    server,
    address: addressOf(server),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A server that answers every request with what it got, as JSON. */
export function serveEcho(): Promise<Server> {
  return serve((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method, url, rawHeaders, trailers } = request;
      const body = JSON.stringify({
        method,
        url,
        rawHeaders,
        trailers,
        body: Buffer.concat(chunks).toString("latin1"),
      });
      response.end(body);
    });
  });
}

export interface Echoed {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: string[];
  readonly trailers: Record<string, string>;
  readonly body: string;
}

/** The fields that an echo server got, by lower-case name. */
export function fieldsOf(echoed: Echoed): Map<string, string> {
  const fields = new Map<string, string>();
  for (let at = 0; at < echoed.rawHeaders.length; at += 2) {
    fields.set((echoed.rawHeaders[at] ?? "").toLowerCase(), echoed.rawHeaders[at + 1] ?? "");
  }
  return fields;
}

/** A server that hands every connection to the test. */
export async function serveRaw(accept: (socket: net.Socket) => void): Promise<{ address: string } & AsyncDisposable> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    accept(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: addressOf(server),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** An address that nothing listens on. */
export async function deadAddress(): Promise<string> {
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = addressOf(server);
  await new Promise((resolve) => server.close(resolve));
  return address;
}

/** Writes bytes as they are and resolves to everything that comes back until the connection is closed. */
export async function raw(port: number, text: string): Promise<string> {
  const socket = net.connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(text, "latin1");
  let received = "";
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString("latin1");
  });
  await once(socket, "close");
  return received;
}

function addressOf(server: net.Server): string {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return `127.0.0.1:${address.port}`;
}
