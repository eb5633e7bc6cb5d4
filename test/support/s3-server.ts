import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { type Jar, mavenJars } from "./maven-jars.ts";
import { installedProgram } from "./programs.ts";
import { freePort, type ServerProcess, startServer } from "./server-process.ts";

/** A server that speaks S3, of the test's own: S3Proxy, which checks signatures and keeps objects in its directory. */
export interface S3Server extends ServerProcess {
  /** `http://host:port`. */
  readonly endpoint: string;
  /** `https://host:port`, for whoever trusts `certificate`; there when TLS was asked for. */
  readonly secureEndpoint: string;
  /** Path of a file with the certificate for 127.0.0.1 (PEM). */
  readonly certificate: string;
  /** A bucket that is there. */
  readonly bucket: string;
  /** The only ones that it accepts. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

const s3Proxy: Jar = {
  coordinates: "org.gaul:s3proxy:3.0.0:jar-with-dependencies",
  sha256: "f5931bd2a7706e75bd15713224c98ddda22ac022a48d4f9937ce884acef9ce25",
};
const javaOptions = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
const bucket = "outrigger";
const credentials = { accessKeyId: "key-of-tests", secretAccessKey: "secret-of-tests" };
const keystorePassword = "changeit";

/** Path of the program, fetched by Maven once for all tests; rejects with ProgramMissing. */
export async function s3ProxyJar(): Promise<string> {
  const [jar = ""] = await mavenJars("s3proxy-3.0.0", [s3Proxy]);
  return jar;
}

/** Starts S3Proxy; rejects with ProgramMissing when there is no Java, or Maven cannot fetch it. */
export async function startS3({ tls = false }: { readonly tls?: boolean } = {}): Promise<S3Server> {
  const java = await installedProgram("java", "openjdk-17-jre-headless");
  const jar = await s3ProxyJar();
  const [port, securePort] = [await freePort(), await freePort()];
  const server = await startServer({
    program: java,
    async parameters(directory) {
      const data = join(directory, "data");
      // What others may read on the disk they may read without credentials.
      await mkdir(join(data, bucket), { recursive: true, mode: 0o700 });
      const properties = {
        "s3proxy.endpoint": `http://127.0.0.1:${port}`,
        "s3proxy.authorization": "aws-v4",
        "s3proxy.identity": credentials.accessKeyId,
        "s3proxy.credential": credentials.secretAccessKey,
        "jclouds.provider": "filesystem-nio2",
        "jclouds.filesystem.basedir": data,
        ...(tls ? await tlsProperties(directory, java, securePort) : {}),
      };
      const lines = Object.entries(properties).map(([name, value]) => `${name}=${value}\n`);
      const file = join(directory, "s3proxy.conf");
      await writeFile(file, lines.join(""));
      return [...javaOptions, "-jar", jar, "--properties", file];
    },
    isReady: async () => (await answers(port)) && (!tls || (await answers(securePort))),
  });
  return Object.assign(server, {
    endpoint: `http://127.0.0.1:${port}`,
    secureEndpoint: `https://127.0.0.1:${securePort}`,
    certificate: certificateIn(server.directory),
    bucket,
    credentials,
  });
}

const certificateIn = (directory: string): string => join(directory, "certificate.pem");

/** Java takes keys from a file of its own form, which its own tool makes. */
async function tlsProperties(directory: string, java: string, port: number): Promise<Record<string, string>> {
  const keystore = join(directory, "keystore.p12");
  const keytool = (...parameters: readonly string[]) =>
    promisify(execFile)(join(dirname(java), "keytool"), [
      ...parameters,
      ...["-keystore", keystore, "-storepass", keystorePassword, "-alias", "server"],
    ]);
  const names = "san=ip:127.0.0.1,dns:localhost";
  await keytool("-genkeypair", "-keyalg", "EC", "-dname", "CN=localhost", "-ext", names, "-validity", "3650");
  await keytool("-exportcert", "-rfc", "-file", certificateIn(directory));
  return {
    "s3proxy.secure-endpoint": `https://127.0.0.1:${port}`,
    "s3proxy.keystore-path": keystore,
    "s3proxy.keystore-password": keystorePassword,
  };
}

function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  return new Promise((resolve) => {
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
  }).then((isThere) => {
    socket.destroy();
    return isThere === true;
  });
}
