import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Certificate } from "./certificate.ts";
import { installedProgram } from "./programs.ts";
import { freePort, type ServerProcess, startServer } from "./server-process.ts";

/** A NATS server of the test's own: on a free loopback port, with JetStream in its directory. */
export interface NatsServer extends ServerProcess {
  /** `host:port`. */
  readonly address: string;
  readonly port: number;
}

export interface NatsServerOptions {
  /** What it shows, and whom it trusts when clients must show a certificate of their own. */
  readonly tls?: Certificate & { readonly clientCa?: string };
  /** Lines of the block `authorization`; default anyone may come. */
  readonly authorization?: readonly string[];
  /** Further lines of the configuration. */
  readonly lines?: readonly string[];
  /** Largest message, headers included; default 8 MiB, since a megabyte and its headers are more than the server's own default. */
  readonly maxPayloadBytes?: number;
  /** Default true. */
  readonly jetStream?: boolean;
}

/** Starts `nats-server`; rejects with ProgramMissing when there is none. */
export async function startNats(options: NatsServerOptions = {}): Promise<NatsServer> {
  const port = await freePort();
  const server = await startServer({
    program: await installedProgram("nats-server", "nats-server"),
    parameters: async (directory) => {
      const file = join(directory, "nats.conf");
      await writeFile(file, (await linesOf(directory, port, options)).join("\n"));
      return ["--config", file];
    },
    isReady: (written) => /Server is ready/.test(written),
  });
  return Object.assign(server, { address: `127.0.0.1:${port}`, port });
}

async function linesOf(
  directory: string,
  port: number,
  { tls, authorization, maxPayloadBytes = 8 * 1024 ** 2, jetStream = true, lines: further = [] }: NatsServerOptions,
): Promise<string[]> {
  const lines = [`listen: "127.0.0.1:${port}"`, `max_payload: ${maxPayloadBytes}`, ...further];
  if (jetStream) lines.push(`jetstream { store_dir: ${JSON.stringify(join(directory, "jetstream"))} }`);
  if (authorization !== undefined) lines.push("authorization {", ...authorization, "}");
  if (tls === undefined) return lines;
  const { key, cert, clientCa } = tls;
  const write = async (name: string, text: string): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, text);
    return JSON.stringify(path);
  };
  lines.push("tls {", `key_file: ${await write("key.pem", key)}`, `cert_file: ${await write("cert.pem", cert)}`);
  if (clientCa !== undefined) lines.push(`ca_file: ${await write("client-ca.pem", clientCa)}`, "verify: true");
  return [...lines, "}"];
}
