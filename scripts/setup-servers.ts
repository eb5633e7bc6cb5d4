/** Finds the servers that tests start, and installs those that are missing where it can: Debian, as root or by sudo. */
import { globSync } from "node:fs";
import { findProgram, installPackages } from "../test/support/programs.ts";

interface Server {
  readonly name: string;
  /** Programs, each with the Debian package that has it. */
  readonly programs: Readonly<Record<string, string>>;
  /** What starts it; whoever imports it needs the server. */
  readonly support: string;
  /** Folders of programs that are in no usual place. */
  readonly places?: string;
}

/** A server that is not here and could not be installed. */
export interface MissingServer {
  readonly name: string;
  readonly support: string;
  /** Debian packages that would bring it. */
  readonly packages: readonly string[];
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
    name: "postgres",
    programs: { initdb: "postgresql", postgres: "postgresql" },
    support: "postgres-server.ts",
    places: "/usr/lib/postgresql/*/bin",
  },
  // The broker itself is fetched by Maven when a test starts it.
  { name: "kafka", programs: { java: "openjdk-17-jre-headless", mvn: "maven" }, support: "kafka-server.ts" },
  // As is S3Proxy.
  { name: "s3proxy", programs: { java: "openjdk-17-jre-headless", mvn: "maven" }, support: "s3-server.ts" },
];

/** Resolves to the servers that are still missing; at once when none is. */
export async function setupServers(): Promise<MissingServer[]> {
  const missing = servers.flatMap(missingPackages);
  if (missing.length === 0) return [];
  const packages = [...new Set(missing)];
  process.stderr.write(`installing servers for the tests (${packages.join(", ")}) ...\n`);
  await installPackages(packages);
  // One package that cannot be had keeps apt from installing the others.
  for (const left of new Set(servers.flatMap(missingPackages))) await installPackages([left]);
  return servers
    .map((server) => ({ name: server.name, support: server.support, packages: [...new Set(missingPackages(server))] }))
    .filter(({ packages: left }) => left.length > 0);
}

function missingPackages({ programs, places }: Server): string[] {
  const folders = places === undefined ? [] : globSync(places);
  return Object.entries(programs).flatMap(([program, debianPackage]) =>
    findProgram(program, folders) === undefined ? [debianPackage] : [],
  );
}

if (import.meta.main) {
  for (const { name, packages } of await setupServers()) {
    process.stderr.write(`${name} is missing; install ${packages.join(", ")}\n`);
    process.exitCode = 1;
  }
}
