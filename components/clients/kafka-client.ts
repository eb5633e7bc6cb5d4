import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ISocketFactory, Kafka, KafkaConfig, LogEntry, RetryOptions, SASLOptions } from "kafkajs";
import type { ComponentLog, OpenContext } from "../component.ts";
import type { KafkaSettings } from "./kafka-settings.ts";
import { tlsFilesOf } from "./tls-settings.ts";

/** Makes clients of one Kafka. Each has connections of its own. */
export interface KafkaClients {
  create(retry: RetryOptions): Kafka;
  readonly kafkajs: typeof import("kafkajs");
}

/** What clients and their owner know of each other. */
export interface KafkaLink {
  /** What was last said of a connection that failed. */
  why: string;
  /** The clients are to try no more. */
  isClosed: boolean;
  /** All that are open. */
  readonly sockets: Set<Socket>;
}

/** Loads kafkajs, the secrets and the files. */
export async function kafkaClients(
  settings: KafkaSettings,
  { name, log, secret }: Pick<OpenContext, "name" | "log" | "secret">,
  link: KafkaLink,
): Promise<KafkaClients> {
  const { brokers, clientId, sasl, tls, connectTimeoutMs, requestTimeoutMs } = settings;
  const files = tls === undefined ? undefined : await tlsFilesOf(tls, `the Kafka of '${name}'`);
  const config: KafkaConfig = {
    brokers,
    clientId,
    connectionTimeout: connectTimeoutMs,
    authenticationTimeout: connectTimeoutMs,
    requestTimeout: requestTimeoutMs,
    socketFactory: socketsOf(link),
    ...(files === undefined ? {} : { ssl: files }),
    ...(sasl === undefined ? {} : { sasl: saslOf(sasl, await secret(sasl.password)) }),
  };
  const kafkajs = await loadedKafkajs();
  const logCreator = () => (entry: LogEntry) => bridge(entry, log, link);
  return {
    kafkajs,
    create: (retry) => new kafkajs.Kafka({ ...config, retry, logLevel: kafkajs.logLevel.WARN, logCreator }),
  };
}

const closed = "the component is closed";
const keepAliveMs = 60_000;

/** Makes sockets as kafkajs does, notes them for as long as they are open, and makes none once the component is closed. */
function socketsOf(link: KafkaLink): ISocketFactory {
  return ({ host, port, ssl, onConnect }) => {
    if (link.isClosed) throw new Error(closed);
    const servername = isIP(host) === 0 ? { servername: host } : {};
    const socket =
      ssl === undefined || ssl === null
        ? connect({ host, port }, onConnect)
        : connectTls({ host, port, ...servername, ...ssl }, onConnect);
    link.sockets.add(socket);
    socket.once("close", () => link.sockets.delete(socket));
    return socket.setKeepAlive(true, keepAliveMs);
  };
}

/** What still waits for a broker fails, and nothing asks anew: of a broker that hangs kafkajs would wait to hear for a minute. */
export function cutOff(link: KafkaLink): void {
  link.isClosed = true;
  for (const socket of link.sockets) socket.destroy(new Error(closed));
}

function saslOf({ mechanism, username }: NonNullable<KafkaSettings["sasl"]>, password: string): SASLOptions {
  switch (mechanism) {
    case "plain":
      return { mechanism, username, password };
    case "scram-sha-256":
      return { mechanism, username, password };
    case "scram-sha-512":
      return { mechanism, username, password };
  }
}

/** Only a sidecar with a component on Kafka loads it. */
async function loadedKafkajs(): Promise<typeof import("kafkajs")> {
  const kafkajs = await import("kafkajs");
  const { default: queue } = await import("kafkajs/src/network/requestQueue/index.js");
  onlyWhenThereIsSomethingToCheck(queue.prototype);
  return kafkajs;
}

interface Queue {
  readonly pending: readonly unknown[];
  readonly throttledUntil: number;
  scheduleCheckPendingRequests(): void;
}

const mended = new WeakSet<Queue>();

/** After each reply it sets a timer for minus a trillion milliseconds, of which Node warns, to look into an empty queue. */
function onlyWhenThereIsSomethingToCheck(queue: Queue): void {
  if (mended.has(queue)) return;
  mended.add(queue);
  const { scheduleCheckPendingRequests: schedule } = queue;
  queue.scheduleCheckPendingRequests = function (this: Queue): void {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this);
  };
}

/** What kafkajs says is of use to whoever looks closely; what matters to operators is said by us. */
function bridge(
  { namespace, log: { message, broker, groupId, error } }: LogEntry,
  log: ComponentLog,
  link: KafkaLink,
): void {
  const connectionError = /^Connection (?:error: )?(.*)$/.exec(message)?.[1];
  if (namespace === "Connection" && connectionError !== undefined) link.why = connectionError;
  log.debug({ broker, groupId, why: error }, `kafkajs ${namespace}: ${message}`);
  // It says so before it tries another broker, and tries none after an error of this kind; nothing else ends its tries.
  if (namespace === "BrokerPool" && link.isClosed) throw new TypeError(closed);
}
