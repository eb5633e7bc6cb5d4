import { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { checkServerIdentity } from "node:tls";
import type { Pool, PoolClient, PoolConfig, QueryArrayResult } from "pg";
import type { OpenContext } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { backOffMs } from "./back-off.ts";
import { onceReady } from "./once-ready.ts";
import { isConflict, isOfLostServer, isOfLostTable, postgresFailure } from "./postgres-failure.ts";
import type { PostgresSettings } from "./postgres-settings.ts";
import { ServerWatch } from "./server-watch.ts";
import { tlsFilesOf } from "./tls-settings.ts";

/** How much longer than the server the client waits for it to give up a statement. */
const graceMs = 1_000;
/** Longest wait for the farewell of a server when the connections are closed. */
const quitMs = 1_000;
/** Most callers that wait for a connection. */
const maxWaiting = 256;
const maxTries = 5;
/** How long a connection that is of no use is kept, unless it is the only one. */
const idleMs = 60_000;

export type PostgresValue = string | number | Buffer | null | readonly Buffer[];

/** A statement with its values. With a name, the server prepares it once a connection. */
export interface PostgresStatement {
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly PostgresValue[];
}

export interface PostgresResult {
  readonly rows: readonly (readonly unknown[])[];
  /** Rows that were written. */
  readonly changes: number;
}

type PostgresContext = Pick<OpenContext, "name" | "log" | "reachability" | "secret">;

/** Connects to the server; rejects with a sentence that names the component and what is wrong. */
export async function openPostgres(settings: PostgresSettings, context: PostgresContext): Promise<PostgresConnection> {
  // Loaded here, so that only a sidecar with a component on Postgres loads it.
  const { Pool } = await import("pg");
  const sockets = new Set<Socket>();
  const stream = (): Socket => {
    const socket = new Socket();
    sockets.add(socket);
    return socket.once("close", () => sockets.delete(socket));
  };
  const pool = new Pool({ ...(await optionsOf(settings, context)), stream });
  const connection = new PostgresConnection(pool, sockets, context);
  return onceReady(connection, connection.ready());
}

/**
 * A few connections that come back by themselves when they are lost. What was sent on a lost connection fails: nothing is
 * sent twice but what the server said it has undone.
 */
export class PostgresConnection implements AsyncDisposable {
  readonly #pool: Pool;
  readonly #context: PostgresContext;
  readonly #watch: ServerWatch;
  /** Of all connections of the pool, those that are being made included. */
  readonly #sockets: ReadonlySet<Socket>;
  /** What shows that the server serves. */
  #probeText = "SELECT 1";

  constructor(pool: Pool, sockets: ReadonlySet<Socket>, context: PostgresContext) {
    this.#pool = pool;
    this.#sockets = sockets;
    this.#context = context;
    const { name, log, reachability } = context;
    const server = `the Postgres of '${name}'`;
    this.#watch = new ServerWatch({ server, log, reachability, probe: (signal) => this.#probe(signal) });
    // One that is lost while it is used tells whoever uses it; the event would end the process.
    pool.on("connect", (client) => client.on("error", () => undefined));
    pool.on("error", () => this.#watch.suspect());
  }

  /** Resolves once the server has let us in; rejects when it does not answer or refuses us. */
  async ready(): Promise<void> {
    try {
      const client = await this.#pool.connect();
      client.release();
    } catch (error) {
      throw postgresFailure(this.#context.name, error, "opening");
    }
  }

  /** From now on the server serves only while it has this table, and lets the user read it. */
  needs(table: string): void {
    this.#probeText = `SELECT FROM ${table} LIMIT 1`;
  }

  /** Runs one statement, which stands for itself. Rejects with RuntimeError. */
  async run(statement: PostgresStatement): Promise<PostgresResult> {
    return this.#retrying(async (client) => resultOf(await query(client, statement)));
  }

  /**
   * Runs the statements in order and in one go, all or none of them: none when one fails, nor when `mayCommit` says so of
   * what they did. To ask it takes a second way to the server and back.
   */
  async transact(
    statements: readonly PostgresStatement[],
    mayCommit?: (results: readonly PostgresResult[]) => boolean,
  ): Promise<readonly PostgresResult[]> {
    return this.#retrying(async (client) => {
      const begun = query(client, { text: "BEGIN ISOLATION LEVEL READ COMMITTED" });
      const running = statements.map((statement) => query(client, statement));
      const ended = mayCommit === undefined ? query(client, { text: "COMMIT" }) : undefined;
      // What follows a failure fails as well, and nothing else may use the connection before.
      const settled = await Promise.allSettled([begun, ...running, ended]);
      const failed = settled.find((one) => one.status === "rejected");
      if (failed !== undefined) {
        // Of no use on a connection that is gone, which is noticed without it.
        if (ended === undefined) await query(client, { text: "ROLLBACK" }).catch(() => undefined);
        throw failed.reason;
      }
      const results = (await Promise.all(running)).map(resultOf);
      if (mayCommit !== undefined) await query(client, { text: mayCommit(results) ? "COMMIT" : "ROLLBACK" });
      return results;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch[Symbol.asyncDispose]();
    const open = [...this.#sockets].filter((socket) => !socket.closed);
    const closed = open.map((socket) => new Promise((resolve) => socket.once("close", resolve)));
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, quitMs);
    // A server that hangs says no farewell, and its connections would keep the process.
    await Promise.race([Promise.all([this.#pool.end(), ...closed]), late]);
    clearTimeout(timer);
    for (const socket of this.#sockets) socket.destroy();
  }

  async #retrying<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#use(work);
      } catch (error) {
        if (!isConflict(error) || attempt === maxTries) throw postgresFailure(this.#context.name, error);
        await delay(backOffMs(attempt, { firstMs: 5 }));
      }
    }
  }

  /** Hands a connection to the work, and rejects with the error as it comes. */
  async #use<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    if (this.#pool.waitingCount >= maxWaiting) {
      const message = `the Postgres of '${this.#context.name}' has ${maxWaiting} callers waiting for a connection; raise maxConnections or ask for less at once`;
      throw new RuntimeError("RESOURCE_EXHAUSTED", "POSTGRES_BUSY", message);
    }
    let client: PoolClient | undefined;
    let isLost = false;
    try {
      client = await this.#pool.connect();
      return await work(client);
    } catch (error) {
      isLost = isOfLostServer(error);
      if (isLost || isOfLostTable(error)) this.#watch.suspect();
      throw error;
    } finally {
      client?.release(isLost);
    }
  }

  /** On a connection of its own: all of the pool's may be in use. */
  async #probe(signal: AbortSignal): Promise<void> {
    const { Client } = await import("pg");
    const socket = new Socket();
    const { options } = this.#pool;
    // The pool hides the password from whoever lists its options.
    const client = new Client({ ...options, password: options.password, stream: () => socket });
    client.on("error", () => undefined);
    const stop = (): void => void socket.destroy();
    signal.addEventListener("abort", stop);
    try {
      await client.connect();
      await client.query(this.#probeText);
    } catch (error) {
      throw postgresFailure(this.#context.name, error);
    } finally {
      signal.removeEventListener("abort", stop);
      socket.destroy();
    }
  }
}

const query = (client: PoolClient, { values = [], ...rest }: PostgresStatement): Promise<QueryArrayResult<unknown[]>> =>
  client.query<unknown[]>({ ...rest, values: [...values], rowMode: "array" });

const resultOf = ({ rows, rowCount }: QueryArrayResult<unknown[]>): PostgresResult => ({
  rows,
  changes: rowCount ?? 0,
});

/** Everything is given, since the client looks for the rest in the environment. */
async function optionsOf(settings: PostgresSettings, { name, secret }: PostgresContext): Promise<PoolConfig> {
  const { url, username, password, tls, maxConnections, connectTimeoutMs, replyTimeoutMs } = settings;
  const { hostname, port, pathname } = new URL(url);
  const database = decodeURIComponent(pathname.slice(1));
  const resolved = password === undefined ? "" : await secret(password);
  return {
    host: decodeURIComponent(hostname).replace(/^\[|\]$/g, ""),
    port: Number(port || 5432),
    database: database === "" ? username : database,
    user: username,
    password: () => resolved,
    ssl: tls === undefined ? false : await tlsOf(tls, name),
    sslnegotiation: "postgres",
    application_name: `outrigger:${name}`,
    client_encoding: "UTF8",
    max: maxConnections,
    // To connect takes several ways to the server and back.
    min: 1,
    idleTimeoutMillis: idleMs,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: replyTimeoutMs,
    idle_in_transaction_session_timeout: 2 * replyTimeoutMs,
    query_timeout: replyTimeoutMs + graceMs,
    pipeline: true,
    keepAlive: true,
  };
}

/** The client asks for the host's name whatever we say; another name can only be checked. */
async function tlsOf(tls: NonNullable<PostgresSettings["tls"]>, component: string): Promise<PoolConfig["ssl"]> {
  const { servername, ...files } = await tlsFilesOf(tls, `the Postgres of '${component}'`);
  if (servername === undefined) return files;
  return { ...files, checkServerIdentity: (_host, certificate) => checkServerIdentity(servername, certificate) };
}
