/** How suites register their checks, so that each is known by name and its outcome is noted for the matrix. */
import { after, before, describe, it } from "node:test";

/** `-`: not claimed, and what stands in for it where it is not claimed held. `no server`: there is none to kill. */
export type Outcome = "ok" | "-" | "no server" | "FAILED" | "skipped" | "not run";

export interface CheckOptions {
  /** The check is only for backends that claim the capability, or all of them. */
  readonly needs?: string | readonly string[];
  /** What holds instead for a backend that does not claim it. */
  readonly otherwise?: () => Promise<void> | void;
  /** The check is only for backends that stand on a server, which it kills and starts again. */
  readonly killsServer?: boolean;
}

type Body = () => Promise<void> | void;

/** Registers the checks of one backend. */
export interface Checks {
  check(name: string, body: Body): void;
  check(name: string, options: CheckOptions, body: Body): void;
  /** Checks that belong together; their names go on from its title. */
  group(title: string, register: () => void): void;
  before(hook: Body): void;
  after(hook: Body): void;
}

/** What is known of the backend before anything runs. */
export interface Claims {
  readonly capabilities: ReadonlySet<string>;
  readonly hasServer: boolean;
}

/** Registers checks as tests, and notes their outcomes under their full names. */
export function testedChecks(claims: Claims, outcomes: Map<string, Outcome>): Checks {
  return checksOf(claims, outcomes, {
    initial: "not run",
    group: describe,
    run: (name, fullName, outcome, body) => {
      it(name, async () => {
        outcomes.set(fullName, "FAILED");
        await body();
        outcomes.set(fullName, outcome);
      });
    },
    before,
    after,
  });
}

/** Runs nothing: notes `ran` for every check that would run. */
export function notedChecks(claims: Claims, outcomes: Map<string, Outcome>, ran: Outcome): Checks {
  const nothing = (): void => undefined;
  return checksOf(claims, outcomes, {
    initial: ran,
    group: (_title, register) => register(),
    run: (_name, fullName, outcome) => {
      outcomes.set(fullName, outcome === "ok" ? ran : outcome);
    },
    before: nothing,
    after: nothing,
  });
}

interface Registrar {
  readonly initial: Outcome;
  group(title: string, register: () => void): void;
  run(name: string, fullName: string, outcome: Outcome, body: Body): void;
  before(hook: Body): void;
  after(hook: Body): void;
}

function checksOf(claims: Claims, outcomes: Map<string, Outcome>, registrar: Registrar): Checks {
  let titles: readonly string[] = [];
  const register = (name: string, { needs, otherwise, killsServer }: CheckOptions, body: Body): void => {
    const fullName = [...titles, name].join(" ");
    if (outcomes.has(fullName)) throw new Error(`two checks have the name '${fullName}'`);
    outcomes.set(fullName, registrar.initial);
    const lacking = [needs ?? []].flat().find((capability) => !claims.capabilities.has(capability));
    if (killsServer === true && !claims.hasServer) outcomes.set(fullName, "no server");
    else if (lacking === undefined) registrar.run(name, fullName, "ok", body);
    else if (otherwise !== undefined) registrar.run(`${name}: does not claim '${lacking}'`, fullName, "-", otherwise);
    else outcomes.set(fullName, "-");
  };
  return {
    check: (name: string, ...[options, body]: [Body] | [CheckOptions, Body]) => {
      if (typeof options === "function") register(name, {}, options);
      else if (body !== undefined) register(name, options, body);
    },
    group: (title, registerAll) => {
      const inner = [...titles, title];
      registrar.group(title, () => {
        const outer = titles;
        titles = inner;
        registerAll();
        titles = outer;
      });
    },
    before: registrar.before,
    after: registrar.after,
  };
}
