import { chmod, rename, rm, stat } from "node:fs/promises";
import net from "node:net";
import { dirname } from "node:path";
import { codeOf, messageOf } from "../components/thrown.ts";

/** A bound address that hands out connections. */
export interface Listener extends AsyncDisposable {
  /** As bound: `127.0.0.1:34904` (the real port when 0 was asked for), `[::1]:1`, or `unix:/path`. */
  readonly address: string;
  /** Accepts nothing more; connections already accepted stay with their owner. */
  stop(): Promise<void>;
}

export interface ListenOptions {
  /** The way out stays open when a peer has sent all it will; default false. */
  readonly allowHalfOpen?: boolean;
}

/** Splits `host:port`, `[v6]:port`. */
export function parseHostPort(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(":");
  const host = address.slice(0, at).replace(/^\[|\]$/g, "");
  const digits = address.slice(at + 1);
  const port = Number(digits);
  if (at < 1 || !/^\d{1,5}$/.test(digits) || port > 65535) {
    throw new RangeError(`'${address}' is not an address; expected host:port`);
  }
  return { host, port };
}

/**
 * Listens on `host:port` or `unix:/path` and hands every connection to `accept`. A Unix socket has mode 0600 before it
 * can be found under its name, and replaces a dead one of that name. Rejects with a sentence that names the address.
 */
export async function listen(
  address: string,
  accept: (socket: net.Socket) => void,
  options: ListenOptions = {},
): Promise<Listener> {
  const { allowHalfOpen = false } = options;
  const server = net.createServer({ noDelay: true, pauseOnConnect: false, allowHalfOpen }, accept);
  const path = address.startsWith("unix:") ? address.slice("unix:".length) : undefined;
  try {
    if (path === undefined) await bind(server, parseHostPort(address));
    else await bindUnix(server, path);
  } catch (cause) {
    const code = codeOf(cause);
    const why = code === "EADDRINUSE" ? "the address is in use" : messageOf(cause);
    throw new Error(`cannot listen on ${address}: ${why}`, { cause });
  }
  const bound = server.address();
  const actual =
    path !== undefined || bound === null || typeof bound === "string"
      ? address
      : `${bound.family === "IPv6" ? `[${bound.address}]` : bound.address}:${bound.port}`;
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      // The callback of close waits for the connections too, which are not ours to wait for.
      server.close();
      if (path !== undefined) await rm(path, { force: true });
    })();
    return stopped;
  };
  return { address: actual, stop, [Symbol.asyncDispose]: stop };
}

function bind(server: net.Server, options: net.ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

async function bindUnix(server: net.Server, path: string): Promise<void> {
  const existing = await stat(path).catch(() => undefined);
  if (existing !== undefined && !existing.isSocket()) throw new Error(`${path} exists and is not a socket`);
  if (existing !== undefined && (await answers(path))) throw new Error("the address is in use");
  await stat(dirname(path));
  const temporary = `${path}.${process.pid}`;
  await rm(temporary, { force: true });
  await bind(server, { path: temporary });
  await chmod(temporary, 0o600);
  await rename(temporary, path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect(path);
    probe.once("connect", () => resolve(true)).once("error", () => resolve(false));
    probe.once("connect", () => probe.destroy());
  });
}
