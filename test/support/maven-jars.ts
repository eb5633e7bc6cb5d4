import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withLock } from "./file-lock.ts";
import { installedProgram, ProgramMissing } from "./programs.ts";

/** A file that is published on Maven Central. */
export interface Jar {
  /** `GROUP:ARTIFACT:VERSION`, and `:CLASSIFIER` where there is one. */
  readonly coordinates: string;
  readonly sha256: string;
}

/** The files of a program are not on this machine and cannot be had. */
class JarsMissing extends ProgramMissing {
  constructor(program: string, why: string) {
    super(program, "none");
    this.message = `${program} is missing and Maven could not fetch it (${why}); run again where it can`;
  }
}

const cache = join(import.meta.dirname, "../../node_modules/.cache/outrigger");
const copyDependencies = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
const fetchMs = 300_000;

/** The paths of the files, fetched by Maven once for all tests; rejects with ProgramMissing. `program` names them: `kafka-4.4.0`. */
export async function mavenJars(program: string, jars: readonly Jar[]): Promise<readonly string[]> {
  const directory = join(cache, program);
  await mkdir(cache, { recursive: true });
  if ((await wrongIn(directory, jars)) !== undefined) {
    await withLock(`${directory}.lock`, async () => {
      if ((await wrongIn(directory, jars)) !== undefined) await fetchJars(directory, program, jars);
    });
  }
  return jars.map((jar) => join(directory, fileOf(jar)));
}

/** The first file that is not as it was published. */
async function wrongIn(directory: string, jars: readonly Jar[]): Promise<string | undefined> {
  for (const jar of jars) {
    const file = join(directory, fileOf(jar));
    const content = await readFile(file).catch(() => undefined);
    if (content === undefined || createHash("sha256").update(content).digest("hex") !== jar.sha256) return file;
  }
  return undefined;
}

async function fetchJars(directory: string, program: string, jars: readonly Jar[]): Promise<void> {
  const maven = await installedProgram("mvn", "maven");
  const fresh = await mkdtemp(`${directory}-`);
  try {
    await writeFile(join(fresh, "pom.xml"), projectOf(jars));
    const output = await ran(maven, ["-B", "-q", "-f", fresh, copyDependencies, `-DoutputDirectory=${fresh}`]);
    if (output !== undefined) throw new JarsMissing(program, output.trim().replace(/\s+/g, " ").slice(0, 500));
    const wrong = await wrongIn(fresh, jars);
    if (wrong !== undefined) throw new Error(`${wrong} is missing or not the file that it should be`);
    await rm(directory, { recursive: true, force: true });
    await rename(fresh, directory);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/** What it wrote when it failed. */
function ran(program: string, parameters: readonly string[]): Promise<string | undefined> {
  const child = spawn(program, parameters, { stdio: ["ignore", "pipe", "pipe"], timeout: fetchMs });
  let written = "";
  for (const output of [child.stdout, child.stderr]) {
    output.setEncoding("utf8").on("data", (text: string) => {
      written += text;
    });
  }
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(String(error)));
    child.once("close", (code) => resolve(code === 0 ? undefined : written));
  });
}

/** A project that depends on exactly these. */
function projectOf(jars: readonly Jar[]): string {
  const nothingElse = "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>";
  const dependencies = jars.map(({ coordinates }) => {
    const [group, artifact, version, classifier] = coordinates.split(":");
    const kind = classifier === undefined ? "" : `<classifier>${classifier}</classifier>`;
    const names = `<groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version>${kind}`;
    return `<dependency>${names}${nothingElse}</dependency>`;
  });
  const own = "<groupId>outrigger</groupId><artifactId>servers</artifactId><version>1</version>";
  return `<project><modelVersion>4.0.0</modelVersion>${own}<dependencies>${dependencies.join("\n")}</dependencies></project>`;
}

const fileOf = ({ coordinates }: Jar): string => `${coordinates.split(":").slice(1).join("-")}.jar`;
