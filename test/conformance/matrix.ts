/** The matrix: which backend, opened with which settings, is held against the suite of its kind. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { type ComponentOfKind, catalog } from "../../components/catalog.ts";
import type { ComponentKind } from "../../components/component.ts";
import { ProgramMissing } from "../support/programs.ts";
import type { ServerProcess } from "../support/server-process.ts";
import type { Backend, Settings } from "./backend.ts";
import { testBinding } from "./binding.ts";
import { type Checks, notedChecks, type Outcome, testedChecks } from "./checks.ts";
import { testConfigStore } from "./config.ts";
import { testLockStore } from "./lock.ts";
import { testObjectStore } from "./object.ts";
import { testPubSub } from "./pubsub.ts";
import { testSecretStore } from "./secret.ts";
import { testSequencer } from "./sequencer.ts";
import { testStateStore } from "./state.ts";

/** One backend with one way to configure it. */
export interface Line {
  readonly kind: ComponentKind;
  /** As in the catalog. */
  readonly type: string;
  /** Tells lines of one backend apart. */
  readonly variant?: string;
  /** The settings of one component; what it keeps is found again with the same ones. Default none. */
  readonly settings?: (directory: string) => Settings | Promise<Settings>;
  /** For secret stores, in place of `settings`: see `Backend`. */
  readonly prepare?: Backend<AsyncDisposable>["prepare"];
  /** For bindings whose events do not come by themselves: has one come in. */
  readonly bringEvent?: () => Promise<void>;
  /** For bindings that call out to a server: see `Backend`. */
  readonly invocation?: Backend<AsyncDisposable>["invocation"];
  /** What it claims with these settings; default all that the definition claims. Held against `capabilitiesWith`. */
  readonly capabilities?: readonly string[];
}

/** A line with the outcome of each check. */
export interface NotedLine {
  readonly kind: ComponentKind;
  readonly type: string;
  readonly variant?: string | undefined;
  /** The server's name; absent when there is none. */
  readonly server?: string | undefined;
  readonly capabilities: readonly string[];
  readonly outcomes: Readonly<Record<string, Outcome>>;
}

/** Environment variable: a folder where each process leaves its lines with their outcomes. */
export const outcomesVariable = "OUTRIGGER_CONFORMANCE_OUTCOMES";
/** Environment variable: a file to which lines are appended, one JSON a line, instead of running anything. */
export const recordVariable = "OUTRIGGER_CONFORMANCE_RECORD";

const suites: { readonly [Kind in ComponentKind]: (backend: Backend<ComponentOfKind[Kind]>) => void } = {
  state: testStateStore,
  pubsub: testPubSub,
  config: testConfigStore,
  lock: testLockStore,
  sequencer: testSequencer,
  secret: testSecretStore,
  binding: testBinding,
  object: testObjectStore,
};

/** Holds the lines against their suites; they need no server. */
export async function withoutServer(lines: readonly Line[]): Promise<void> {
  if (process.env[recordVariable] !== undefined) return recordLines(lines, undefined);
  const register = await suitesOf(lines, undefined);
  describe("without a server", register);
}

/**
 * Starts the server, holds the lines against their suites, and ends it. What it acknowledged must be there again after it
 * was killed and started. Without the program the lines are skipped, or fail when CI=true.
 */
export async function withServer<Server extends ServerProcess>(
  name: string,
  start: () => Promise<Server>,
  linesOn: (server: () => Server) => readonly Line[],
): Promise<void> {
  let running: Server | undefined;
  const server = (): Server => {
    if (running === undefined) throw new Error(`${name} runs only while tests run`);
    return running;
  };
  const lines = linesOn(server);
  if (process.env[recordVariable] !== undefined) return recordLines(lines, { name, server });
  try {
    running = await start();
  } catch (error) {
    if (!(error instanceof ProgramMissing) || process.env.CI === "true") throw error;
    return skipLines(lines, name, error);
  }
  const register = await suitesOf(lines, { name, server });
  describe(`on ${name}`, () => {
    after(() => server()[Symbol.asyncDispose]());
    register();
  });
}

interface NamedServer {
  readonly name: string;
  readonly server: () => ServerProcess;
}

async function recordLines(lines: readonly Line[], server: NamedServer | undefined): Promise<void> {
  for (const line of lines) {
    const outcomes = new Map<string, Outcome>();
    const claims = await claimsOf(line.kind, line, server);
    (await suiteOf(line.kind, line, server, notedChecks(claims, outcomes, "ok")))();
    const noted = notedLine(line, server?.name, claims.capabilities, outcomes);
    appendFileSync(process.env[recordVariable] ?? "", `${JSON.stringify(noted)}\n`);
  }
}

/** What registers the suites of the lines, all at once: the runner takes a pause between two for the end. */
async function suitesOf(lines: readonly Line[], server: NamedServer | undefined): Promise<() => void> {
  const suites: (() => void)[] = [];
  const noted: NotedLine[] = [];
  for (const line of lines) {
    const outcomes = new Map<string, Outcome>();
    const claims = await claimsOf(line.kind, line, server);
    const suite = await suiteOf(line.kind, line, server, testedChecks(claims, outcomes));
    suites.push(() => describe(titleOf(line), suite));
    noted.push({
      ...notedLine(line, server?.name, claims.capabilities, outcomes),
      get outcomes() {
        return Object.fromEntries(outcomes);
      },
    });
  }
  return () => {
    for (const register of suites) register();
    leave(noted);
  };
}

async function skipLines(lines: readonly Line[], server: string, missing: ProgramMissing): Promise<void> {
  const noted: NotedLine[] = [];
  const named = { name: server, server: (): never => assert.fail(`${server} is missing`) };
  for (const line of lines) {
    const outcomes = new Map<string, Outcome>();
    const claims = await claimsOf(line.kind, line, named);
    (await suiteOf(line.kind, line, named, notedChecks(claims, outcomes, "skipped")))();
    noted.push(notedLine(line, server, claims.capabilities, outcomes));
  }
  leave(noted);
  const skipped = lines.map(titleOf).join(", ");
  test(`SKIPPED for want of ${server}: ${skipped}`, { skip: missing.message }, () => undefined);
}

async function claimsOf(kind: ComponentKind, line: Line, server: NamedServer | undefined) {
  const { capabilities } = await definitionOf(kind, line);
  return { capabilities: new Set<string>(line.capabilities ?? capabilities), hasServer: server !== undefined };
}

async function definitionOf<Kind extends ComponentKind>(kind: Kind, line: Line) {
  const load = catalog[kind][line.type];
  if (load === undefined) throw new Error(`the catalog has no ${kind} '${line.type}'`);
  return load();
}

/** What registers the suite of the kind for the line. */
async function suiteOf<Kind extends ComponentKind>(
  kind: Kind,
  line: Line,
  server: NamedServer | undefined,
  checks: Checks,
): Promise<() => void> {
  const definition = await definitionOf(kind, line);
  const claimed: readonly string[] = line.capabilities ?? definition.capabilities;
  const backend: Backend<ComponentOfKind[Kind]> = {
    definition,
    capabilities: new Set(claimed),
    checks,
    ...(line.settings === undefined ? {} : { settings: line.settings }),
    ...(line.prepare === undefined ? {} : { prepare: line.prepare }),
    ...(line.bringEvent === undefined ? {} : { bringEvent: line.bringEvent }),
    ...(line.invocation === undefined ? {} : { invocation: line.invocation }),
    ...(server === undefined ? {} : { server: server.server }),
  };
  return () => {
    checks.check("the capabilities are those of the definition with these settings", async () => {
      const actual: readonly string[] =
        definition.capabilitiesWith === undefined
          ? definition.capabilities
          : definition.capabilitiesWith(definition.config.parse((await line.settings?.("unused")) ?? {}));
      assert.deepEqual([...claimed].sort(), [...actual].sort(), "give the line its `capabilities`");
    });
    suites[kind](backend);
  };
}

/** `state: redis (cluster)`. */
const titleOf = ({ kind, type, variant }: Line): string =>
  `${kind}: ${type}${variant === undefined ? "" : ` (${variant})`}`;

function notedLine(
  { kind, type, variant }: Line,
  server: string | undefined,
  capabilities: ReadonlySet<string>,
  outcomes: ReadonlyMap<string, Outcome>,
): NotedLine {
  return { kind, type, variant, server, capabilities: [...capabilities], outcomes: Object.fromEntries(outcomes) };
}

/** Leaves the lines for the matrix as they are now, in case the process does not live to its end, and as they are then. */
function leave(lines: readonly NotedLine[]): void {
  const folder = process.env[outcomesVariable];
  if (folder === undefined || lines.length === 0) return;
  const file = join(folder, `${randomUUID()}.json`);
  const write = (): void => writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  write();
  process.once("exit", write);
}
