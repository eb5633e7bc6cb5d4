/**
 * Finds the servers that tests start, and brings those that are missing where it can: by Debian's packages, as root or by sudo,
 * and by Maven.
 */
import { globSync } from "node:fs";
import { cPlugins } from "../test/support/c-plugins.ts";
import { goPlugins } from "../test/support/go-plugins.ts";
import { kafkaClassPath } from "../test/support/kafka-artifacts.ts";
import { findProgram, installPackages, ProgramMissing } from "../test/support/programs.ts";
import { rustComponents } from "../test/support/rust-components.ts";
import { rustPlugins } from "../test/support/rust-plugins.ts";
import { s3ProxyJar } from "../test/support/s3-server.ts";

interface Server {
  readonly name: string;
  /** Programs, each with the Debian package that has it. */
  readonly programs: Readonly<Record<string, string>>;
  /** What starts it; whoever imports it needs the server. */
  readonly support: string;
  /** Folders of programs that are in no usual place. */
  readonly places?: string;
  /** Fetches or builds what is of no package; rejects with ProgramMissing. */
  readonly fetch?: () => Promise<unknown>;
}

/** A server that is not here and could not be had. */
export interface MissingServer {
  readonly name: string;
  readonly support: string;
  /** What would help: `install etcd-server`. */
  readonly remedy: string;
}

const servers: readonly Server[] = [
  {
    name: "redis",
    programs: { "redis-server": "redis-server", "redis-cli": "redis-tools" },
    support: "redis-server.ts",
  },
  { name: "nats", programs: { "nats-server": "nats-server" }, support: "nats-server.ts" },
  { name: "etcd", programs: { etcd: "etcd-server", etcdctl: "etcd-client" }, support: "etcd-server.ts" },
  {
    name: "registry",
    programs: { "docker-registry": "docker-registry", htpasswd: "apache2-utils", skopeo: "skopeo" },
    support: "registry-server.ts",
  },
  {
    name: "postgres",
    programs: { initdb: "postgresql", postgres: "postgresql" },
    support: "postgres-server.ts",
    places: "/usr/lib/postgresql/*/bin",
  },
  {
    name: "kafka",
    programs: { java: "openjdk-17-jre-headless", mvn: "maven" },
    support: "kafka-server.ts",
    fetch: () => Promise.all([kafkaClassPath("3.9.2"), kafkaClassPath("4.4.0")]),
  },
  {
    name: "s3proxy",
    programs: { java: "openjdk-17-jre-headless", mvn: "maven" },
    support: "s3-server.ts",
    fetch: s3ProxyJar,
  },
  // No server, but it takes longer than a test may.
  {
    name: "go",
    programs: { go: "golang-go" },
    support: "go-plugins.ts",
    places: "/usr/local/go/bin",
    fetch: goPlugins,
  },
  { name: "clang", programs: {}, support: "c-plugins.ts", fetch: cPlugins },
  { name: "rust", programs: {}, support: "rust-plugins.ts", fetch: rustPlugins },
  { name: "rust for components", programs: {}, support: "rust-components.ts", fetch: rustComponents },
];

/** Resolves to the servers that are still missing; soon when none is. */
export async function setupServers(): Promise<MissingServer[]> {
  await installMissing();
  const missing: MissingServer[] = [];
  for (const server of servers) {
    const remedy = await remedyFor(server);
    if (remedy !== undefined) missing.push({ name: server.name, support: server.support, remedy });
  }
  return missing;
}

async function installMissing(): Promise<void> {
  const packages = [...new Set(servers.flatMap(missingPackages))];
  if (packages.length === 0) return;
  process.stderr.write(`installing servers for the tests (${packages.join(", ")}) ...\n`);
  await installPackages(packages);
  // One package that cannot be had keeps apt from installing the others.
  for (const left of new Set(servers.flatMap(missingPackages))) await installPackages([left]);
}

/** What would help; undefined when nothing has to. */
async function remedyFor(server: Server): Promise<string | undefined> {
  const packages = [...new Set(missingPackages(server))];
  if (packages.length > 0) return `install ${packages.join(", ")}`;
  try {
    await server.fetch?.();
    return undefined;
  } catch (error) {
    if (error instanceof ProgramMissing) return error.message;
    throw error;
  }
}

function missingPackages({ programs, places }: Server): string[] {
  const folders = places === undefined ? [] : globSync(places);
  return Object.entries(programs).flatMap(([program, debianPackage]) =>
    findProgram(program, folders) === undefined ? [debianPackage] : [],
  );
}

if (import.meta.main) {
  for (const { name, remedy } of await setupServers()) {
    process.stderr.write(`${name} is missing; ${remedy}\n`);
    process.exitCode = 1;
  }
}
