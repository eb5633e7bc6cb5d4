import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Certificate } from "./certificate.ts";
import { type KafkaVersion, kafkaClassPath } from "./kafka-artifacts.ts";
import { installedProgram } from "./programs.ts";
import { freePort, type ServerProcess, startServer } from "./server-process.ts";

/** A broker of the test's own that is its own controller: on free loopback ports, and it keeps what it acknowledged when it is killed. */
export interface KafkaServer extends ServerProcess {
  /** `host:port` for whoever comes. */
  readonly address: string;
  /** `host:port` where one speaks TLS and gives user and password; there when users were given. */
  readonly secureAddress: string;
  /** `host:port` where one speaks TLS and shows a certificate; there when a certificate was given. */
  readonly mutualAddress: string;
}

export interface KafkaOptions {
  /** What the broker shows, and the only one that it trusts. */
  readonly certificate: Certificate;
  /** Passwords by user, for PLAIN and SCRAM. */
  readonly users: Readonly<Record<string, string>>;
}

interface Ports {
  readonly open: number;
  readonly controller: number;
  readonly secure: number;
  readonly mutual: number;
}

const javaOptions = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];

/** Starts a broker of the version; rejects with ProgramMissing when there is no Java, or Maven cannot fetch the broker. */
export async function startKafka(version: KafkaVersion, options?: KafkaOptions): Promise<KafkaServer> {
  const java = await installedProgram("java", "openjdk-17-jre-headless");
  const program = [...javaOptions, "-cp", await kafkaClassPath(version)];
  const ports = {
    open: await freePort(),
    controller: await freePort(),
    secure: await freePort(),
    mutual: await freePort(),
  };
  const server = await startServer({
    program: java,
    parameters: async (directory) => {
      const file = join(directory, "server.properties");
      await writeFile(file, await propertiesOf(directory, ports, options));
      const format = ["kafka.tools.StorageTool", "format", "-c", file, "-t", "AAAAAAAAAAAAAAAAAAAAAQ"];
      await promisify(execFile)(java, [...program, ...format, ...scramOf(options)]);
      return [...program, "kafka.Kafka", file];
    },
    isReady: () => answers(ports.open),
  });
  return Object.assign(server, {
    address: `127.0.0.1:${ports.open}`,
    secureAddress: `127.0.0.1:${ports.secure}`,
    mutualAddress: `127.0.0.1:${ports.mutual}`,
  });
}

async function propertiesOf(directory: string, ports: Ports, options: KafkaOptions | undefined): Promise<string> {
  const clients = {
    OPEN: ports.open,
    ...(options === undefined ? {} : { SECURE: ports.secure, MUTUAL: ports.mutual }),
  };
  const listeners = Object.entries(clients).map(([name, port]) => `${name}://127.0.0.1:${port}`);
  const properties: Record<string, string | number | boolean> = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.quorum.voters": `1@127.0.0.1:${ports.controller}`,
    "controller.listener.names": "CONTROLLER",
    listeners: [...listeners, `CONTROLLER://127.0.0.1:${ports.controller}`].join(","),
    "advertised.listeners": listeners.join(","),
    "inter.broker.listener.name": "OPEN",
    "listener.security.protocol.map": "OPEN:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL,MUTUAL:SSL",
    "log.dirs": join(directory, "log"),
    "auto.create.topics.enable": false,
    // One of everything, and nothing to wait for.
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 1,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1_000,
    "num.network.threads": 1,
    "num.io.threads": 2,
    "log.cleaner.dedupe.buffer.size": 2 * 1024 ** 2,
    // A broker that was killed is let in again once its session is over.
    "broker.session.timeout.ms": 1_000,
    "broker.heartbeat.interval.ms": 150,
    "controller.quorum.election.timeout.ms": 100,
    "controller.quorum.election.backoff.max.ms": 100,
    ...(options === undefined ? {} : await securityOf(directory, options)),
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}

async function securityOf(directory: string, { certificate, users }: KafkaOptions): Promise<Record<string, string>> {
  const [own, trusted] = [join(directory, "own.pem"), join(directory, "trusted.pem")];
  await writeFile(own, `${certificate.key}${certificate.cert}`);
  await writeFile(trusted, certificate.cert);
  const plain = Object.entries(users).map(([name, password]) => `user_${name}="${password}"`);
  const secure = "listener.name.secure";
  return {
    "ssl.keystore.type": "PEM",
    "ssl.keystore.location": own,
    "ssl.truststore.type": "PEM",
    "ssl.truststore.location": trusted,
    "listener.name.mutual.ssl.client.auth": "required",
    [`${secure}.sasl.enabled.mechanisms`]: "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
    [`${secure}.plain.sasl.jaas.config`]: `org.apache.kafka.common.security.plain.PlainLoginModule required ${plain.join(" ")};`,
    [`${secure}.scram-sha-256.sasl.jaas.config`]: `${scramModule} required;`,
    [`${secure}.scram-sha-512.sasl.jaas.config`]: `${scramModule} required;`,
  };
}

const scramModule = "org.apache.kafka.common.security.scram.ScramLoginModule";

function scramOf(options: KafkaOptions | undefined): readonly string[] {
  return Object.entries(options?.users ?? {}).flatMap(([name, password]) =>
    ["SCRAM-SHA-256", "SCRAM-SHA-512"].flatMap((mechanism) => [
      "--add-scram",
      `${mechanism}=[name=${name},password=${password}]`,
    ]),
  );
}

/** Asks which versions of the protocol it speaks; it listens before it answers. */
function answers(port: number): Promise<boolean> {
  const request = Buffer.from([0, 0, 0, 15, 0, 18, 0, 0, 0, 0, 0, 1, 0, 5, ...Buffer.from("ready")]);
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(request));
    const settle = (isAnswer: boolean) => (): void => {
      socket.destroy();
      resolve(isAnswer);
    };
    socket
      .setTimeout(1_000, settle(false))
      .on("error", settle(false))
      .on("close", settle(false))
      .on("data", settle(true));
  });
}
