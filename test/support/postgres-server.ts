import { execFile } from "node:child_process";
import { chown, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Certificate } from "./certificate.ts";
import { installedProgram } from "./programs.ts";
import { freePort, type ServerProcess, startServer } from "./server-process.ts";

/** A Postgres server of the test's own, on a free loopback port. */
export interface PostgresServer extends ServerProcess {
  /** `host:port`. */
  readonly address: string;
  readonly port: number;
  /** For clients. */
  readonly url: string;
}

export interface PostgresOptions {
  /** What the user `postgres` must give; default nothing. */
  readonly password?: string;
  /** Speaks TLS, to those who ask for it. */
  readonly tls?: Certificate;
  /** Settings of postgresql.conf as `name=value`. */
  readonly settings?: readonly string[];
}

const run = promisify(execFile);
/** While processes of a killed server still end, a new one refuses to start. */
const startTries = 20;

/** Starts `postgres` with a database of its own. Rejects with ProgramMissing when there is none. */
export async function startPostgres({ password, tls, settings = [] }: PostgresOptions = {}): Promise<PostgresServer> {
  const initdb = await installedProgram("initdb", "postgresql", versionFolders);
  const program = await installedProgram("postgres", "postgresql", versionFolders);
  const port = await freePort();
  const user = process.getuid?.() === 0 ? await userOf("postgres") : undefined;
  const server = await startServer({
    program,
    ...(user === undefined ? {} : { user }),
    isReady: (written) => written.includes("database system is ready to accept connections"),
    async parameters(directory) {
      const own = async (path: string): Promise<void> => {
        if (user !== undefined) await chown(path, user.uid, user.gid);
      };
      const write = async (name: string, text: string): Promise<string> => {
        const path = join(directory, name);
        await writeFile(path, text, { mode: 0o600 });
        await own(path);
        return path;
      };
      await own(directory);
      const data = join(directory, "data");
      const secret = password === undefined ? undefined : await write("password", password);
      const access = secret === undefined ? ["--auth=trust"] : ["--auth=scram-sha-256", `--pwfile=${secret}`];
      const made = ["-D", data, "-U", "postgres", "--no-sync", "--encoding=UTF8", "--locale=C", ...access];
      await run(initdb, made, { ...user, cwd: directory });
      const speaksTls =
        tls === undefined
          ? []
          : [
              "ssl=on",
              `ssl_cert_file=${await write("server.crt", tls.cert)}`,
              `ssl_key_file=${await write("server.key", tls.key)}`,
            ];
      const all = [
        "listen_addresses=127.0.0.1",
        `unix_socket_directories=${directory}`,
        // A killed process has written what it says it has; only a machine without power would not.
        "fsync=off",
        ...speaksTls,
        ...settings,
      ];
      return ["-D", data, "-p", String(port), ...all.flatMap((setting) => ["-c", setting])];
    },
  });
  const start = async (): Promise<void> => {
    for (let tries = 1; ; tries++) {
      try {
        return await server.start();
      } catch (error) {
        if (tries === startTries) throw error;
      }
    }
  };
  const address = `127.0.0.1:${port}`;
  return {
    directory: server.directory,
    get process() {
      return server.process;
    },
    kill: () => server.kill(),
    start,
    address,
    port,
    url: `postgres://${address}`,
    [Symbol.asyncDispose]: async () => {
      // Ends at once and leaves no shared memory behind.
      const { process: child } = server;
      const hasEnded = new Promise((resolve) => child.once("close", resolve));
      if (child.exitCode === null && child.signalCode === null && child.kill("SIGQUIT")) await hasEnded;
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Debian keeps each version's programs in a folder of its own; the newest first. */
const versionFolders = Array.from({ length: 20 }, (_, index) => `/usr/lib/postgresql/${30 - index}/bin`);

/** The user and its group; the server refuses root. */
async function userOf(name: string): Promise<{ uid: number; gid: number }> {
  const lines = (await readFile("/etc/passwd", "utf8")).split("\n");
  const [, , uid, gid] = lines.find((line) => line.startsWith(`${name}:`))?.split(":") ?? [];
  if (uid === undefined || gid === undefined) throw new Error(`there is no user '${name}'`);
  return { uid: Number(uid), gid: Number(gid) };
}
