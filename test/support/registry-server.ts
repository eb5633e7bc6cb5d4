import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { installedProgram } from "./programs.ts";
import { freePort, type ServerProcess, startServer } from "./server-process.ts";

/** A registry of the test's own: Docker's, which keeps everything in its directory. */
export interface RegistryServer extends ServerProcess {
  /** `host:port`. */
  readonly address: string;
  /** Where a blob lies on the disk. */
  readonly blobFile: (digest: string) => string;
}

/** How a registry knows who asks. */
export type RegistryUsers =
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  | {
      readonly kind: "token";
      readonly realm: string;
      readonly service: string;
      readonly issuer: string;
      readonly cert: string;
    };

/** Starts `docker-registry`; rejects with ProgramMissing when there is none. */
export async function startRegistry(users?: RegistryUsers): Promise<RegistryServer> {
  const program = await installedProgram("docker-registry", "docker-registry");
  const htpasswd = users?.kind === "password" ? await installedProgram("htpasswd", "apache2-utils") : "";
  const address = `127.0.0.1:${await freePort()}`;
  const server = await startServer({
    program,
    async parameters(directory) {
      const configuration = {
        version: 0.1,
        log: { level: "error", accesslog: { disabled: true } },
        storage: { filesystem: { rootdirectory: join(directory, "data") } },
        http: { addr: address, secret: "of-tests" },
        ...(users !== undefined && { auth: await authentication(users, directory, htpasswd) }),
      };
      const file = join(directory, "config.yml");
      // JSON is YAML.
      await writeFile(file, JSON.stringify(configuration));
      return ["serve", file];
    },
    isReady: async () => {
      const answer = await fetch(`http://${address}/v2/`).catch(() => undefined);
      return answer?.status === 200 || answer?.status === 401;
    },
  });
  const blobs = join(server.directory, "data/docker/registry/v2/blobs/sha256");
  const blobFile = (digest: string): string => {
    const hex = digest.replace(/^sha256:/, "");
    return join(blobs, hex.slice(0, 2), hex, "data");
  };
  return Object.assign(server, { address, blobFile });
}

async function authentication(users: RegistryUsers, directory: string, htpasswd: string): Promise<unknown> {
  if (users.kind === "password") {
    const path = join(directory, "htpasswd");
    const { stdout } = await promisify(execFile)(htpasswd, ["-nbB", users.username, users.password]);
    await writeFile(path, stdout);
    return { htpasswd: { realm: "tests", path } };
  }
  const { realm, service, issuer, cert } = users;
  const rootcertbundle = join(directory, "issuer.pem");
  await writeFile(rootcertbundle, new X509Certificate(cert).toString());
  return { token: { realm, service, issuer, rootcertbundle } };
}
