import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { figureTable } from "../test/bench/support/figures.ts";
import { findTool } from "../test/bench/support/tools.ts";
import type { Outcome } from "./bench.ts";

const method = `Each figure is a ratio measured in one run. The server that is measured has core 0 to itself, load and applications run on
core 1, all on loopback. Contenders take turns in rounds (A B C A B C …), so that whatever else the machine does falls on all
alike. Costs are CPU seconds (user and system, all threads, as the kernel counts them) of the server process for 100,000
requests: the median of the rounds, and the ratio is the median of the rounds' ratios, with the least and the greatest of them
in parentheses. Latencies are those that h2load writes for each request, one at a time, direct and proxied calls in turns: the
median over rounds of each round's quantile. Load comes from h2load and from a grpc-go client that gives each call a deadline
and a traceparent of its own. Outrigger is the real sidecar process with limits, metrics and logs at level info; the comparators
do nothing but what they are compared for. Footprint and deploys are measured on the built package; for deploys the sidecar has
both cores, and is asked 2,000 times a second whether it has answered or not, each request counted from the time it was due.
Calls into components run in one process without sockets, with metering and the real store in memory, the best of rounds in turns;
their deploys go to sidecars that have served for a while, with a clock inside that ticks each millisecond and tells its longest gap.`;

/** docs/reference/benchmarks.md: the machine, the method and every table. */
export function benchmarksPage(outcomes: readonly Outcome[]): string {
  const sections = outcomes.map(({ name, record, summary }) => {
    const heading = `## ${record?.title ?? name} (\`npm run bench:${name}\`)`;
    return record === undefined ? `${heading}\n\n${summary}` : `${heading}\n\n${figureTable(record.rows)}`;
  });
  return `# Benchmarks

Written by \`npm run bench\`; do not edit.

${facts()
  .map(([what, value]) => `- ${what}: ${value}`)
  .join("\n")}

## Method

${method}

${sections.join("\n\n")}
`;
}

function facts(): [what: string, value: string][] {
  const processors = cpus();
  const goModule = readFileSync("test/bench/go/go.mod", "utf8");
  const goVersionOf = (module: string): string =>
    new RegExp(`^\\s*${module} (v\\S+)`, "m").exec(goModule)?.[1] ?? "unknown";
  const { version: grpcJs } = JSON.parse(readFileSync("node_modules/@grpc/grpc-js/package.json", "utf8"));
  return [
    ["commit", commit()],
    ["machine", `${processors.length} × ${processors[0]?.model.trim()}, ${Math.round(totalmem() / 1024 ** 3)} GiB`],
    ["kernel", `Linux ${release()}`],
    ["Node.js", process.version],
    ["grpc-js", grpcJs],
    ["Go", versionOf("go", "version", /go version go(\S+)/)],
    ["grpc-go", goVersionOf("google.golang.org/grpc")],
    ["go-redis", goVersionOf("github.com/redis/go-redis/v9")],
    ["nghttpx", versionOf("nghttpx", "--version", /nghttp2\/(\S+)/)],
    ["h2load", versionOf("h2load", "--version", /nghttp2\/(\S+)/)],
    ["nginx", versionOf("nginx", "-v", /nginx\/(\S+)/)],
    ["Redis", versionOf("redis-server", "--version", /v=(\S+)/)],
  ];
}

function commit(): string {
  const git = (...parameters: string[]): string => execFileSync("git", parameters, { encoding: "utf8" }).trim();
  const changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/reference/benchmarks.md");
  return `${git("rev-parse", "--short=12", "HEAD")}${changed === "" ? "" : ", with changes"}`;
}

function versionOf(program: string, parameter: string, pattern: RegExp): string {
  const path = findTool(program);
  if (path === undefined) return "not there";
  // nginx tells on standard error.
  const { stdout, stderr } = spawnSync(path, [parameter], { encoding: "utf8" });
  return pattern.exec(`${stdout}${stderr}`)?.[1] ?? "unknown";
}
