import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Certificate } from "./certificate.ts";
import { installedProgram } from "./programs.ts";
import { freePort, type ServerProcess, startServer } from "./server-process.ts";

/** An etcd of the test's own: one member on free loopback ports, with its data in its directory. */
export interface EtcdServer extends ServerProcess {
  /** `host:port`. */
  readonly address: string;
  /** What a command of `etcdctl` prints, without the newline at its end. */
  readonly ctl: (...command: readonly string[]) => Promise<string>;
}

interface EtcdOptions {
  /** Speak TLS with this certificate; `clientCa` also asks clients for one of its own. */
  readonly tls?: Certificate & { readonly clientCa?: string };
  /** Password of `root`, who may do everything; anyone else may do nothing until authentication is disabled. */
  readonly rootPassword?: string;
  /** More options of its command line. */
  readonly parameters?: readonly string[];
}

/** Starts `etcd`. Rejects with ProgramMissing when there is none. */
export async function startEtcd(options: EtcdOptions = {}): Promise<EtcdServer> {
  const only = { name: "only", peer: `http://127.0.0.1:${await freePort()}` };
  return launch(only, [only], options);
}

/** Starts so many members of one cluster. */
export async function startEtcdCluster(count: number): Promise<readonly EtcdServer[]> {
  const members: Member[] = [];
  for (let index = 0; index < count; index++) {
    members.push({ name: `member-${index}`, peer: `http://127.0.0.1:${await freePort()}` });
  }
  return Promise.all(members.map((member) => launch(member, members, {})));
}

interface Member {
  readonly name: string;
  /** Where it speaks to the others. */
  readonly peer: string;
}

async function launch(
  { name, peer }: Member,
  cluster: readonly Member[],
  { tls, rootPassword, parameters = [] }: EtcdOptions,
): Promise<EtcdServer> {
  const program = await installedProgram("etcd", "etcd-server");
  const etcdctl = await installedProgram("etcdctl", "etcd-client");
  const address = `127.0.0.1:${await freePort()}`;
  const client = `${tls === undefined ? "http" : "https"}://${address}`;
  const members = cluster.map((member) => `${member.name}=${member.peer}`).join(",");
  const server = await startServer({
    program,
    parameters: async (directory) => [
      ...["--name", name, "--data-dir", join(directory, "data")],
      ...["--listen-client-urls", client, "--advertise-client-urls", client],
      ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", members],
      ...(await tlsParameters(directory, tls)),
      ...parameters,
    ],
    isReady: (written) => written.includes("ready to serve client requests"),
  });
  const ctl = async (...command: readonly string[]): Promise<string> => {
    const trust = tls === undefined ? [] : tlsTrust(server.directory, tls);
    const user = rootPassword === undefined || !hasUsers ? [] : ["--user", `root:${rootPassword}`];
    const env = { ...process.env, ETCDCTL_API: "3" };
    const { stdout } = await promisify(execFile)(etcdctl, ["--endpoints", client, ...trust, ...user, ...command], {
      env,
    });
    return stdout.replace(/\n$/, "");
  };
  let hasUsers = false;
  if (rootPassword !== undefined) {
    await ctl("user", "add", `root:${rootPassword}`);
    await ctl("user", "grant-role", "root", "root").catch(async () => {
      await ctl("role", "add", "root");
      await ctl("user", "grant-role", "root", "root");
    });
    await ctl("auth", "enable");
    hasUsers = true;
  }
  return Object.assign(server, { address, ctl });
}

async function tlsParameters(directory: string, tls: EtcdOptions["tls"]): Promise<readonly string[]> {
  if (tls === undefined) return [];
  const [cert, key, ca] = [join(directory, "cert.pem"), join(directory, "key.pem"), join(directory, "client-ca.pem")];
  await writeFile(cert, tls.cert);
  await writeFile(key, tls.key);
  if (tls.clientCa === undefined) return ["--cert-file", cert, "--key-file", key];
  await writeFile(ca, tls.clientCa);
  return ["--cert-file", cert, "--key-file", key, "--client-cert-auth", "--trusted-ca-file", ca];
}

const tlsTrust = (directory: string, { clientCa }: NonNullable<EtcdOptions["tls"]>): readonly string[] => [
  ...["--cacert", join(directory, "cert.pem")],
  ...(clientCa === undefined ? [] : ["--cert", join(directory, "cert.pem"), "--key", join(directory, "key.pem")]),
];
