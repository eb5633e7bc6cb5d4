/**
 * Random programs with every kind of control flow, run three ways: as they are, metered, and by an interpreter that adds
 * up what each executed instruction costs. All three must agree, on the work done and on the fuel to the last unit.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assemble } from "../../../test/support/wat.ts";
import { instructionCosts } from "./instruction-costs.ts";
import { rewrite } from "./rewrite.ts";
import { fuelGauge } from "./sandboxed-module.ts";

type Node =
  | { readonly kind: "work"; readonly id: number; readonly nops: number }
  | { readonly kind: "block"; readonly body: readonly Node[] }
  | { readonly kind: "loop"; readonly count: number; readonly counter: number; readonly body: readonly Node[] }
  | { readonly kind: "if"; readonly chance: number; readonly yes: readonly Node[]; readonly no?: readonly Node[] }
  | { readonly kind: "branchIf"; readonly chance: number; readonly depth: number }
  | { readonly kind: "branch"; readonly depth: number }
  | { readonly kind: "table"; readonly depths: readonly number[] }
  | { readonly kind: "return" }
  | { readonly kind: "call"; readonly target: number }
  | { readonly kind: "throw" }
  | {
      readonly kind: "try";
      readonly body: readonly Node[];
      readonly handler: readonly Node[];
      readonly table: boolean;
    };

interface Program {
  readonly functions: readonly (readonly Node[])[];
  readonly counters: number;
}

/** Numbers from 0 up to `below`, the same for the same seed. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 8) % below;
  };
}

function randomProgram(seed: number, exceptions: boolean): Program {
  const random = randomFrom(seed);
  const functionCount = 4;
  let counters = 0;
  let works = 0;

  function nodes(depth: number, labels: number, self: number): Node[] {
    return Array.from({ length: 1 + random(4) }, () => node(depth, labels, self));
  }

  function node(depth: number, labels: number, self: number): Node {
    const inner = (more: number): Node[] => nodes(depth + 1, labels + more, self);
    const choice = depth > 4 ? 9 + random(exceptions ? 5 : 4) : random(exceptions ? 14 : 13);
    switch (choice) {
      case 0:
      case 1:
        return { kind: "block", body: inner(1) };
      case 2:
        return { kind: "loop", count: random(4), counter: counters++, body: inner(2) };
      case 3:
      case 4:
        return { kind: "if", chance: random(16), yes: inner(1) };
      case 5:
      case 6:
        return { kind: "if", chance: random(16), yes: inner(1), no: inner(1) };
      case 7:
        if (exceptions) return { kind: "try", body: inner(3), handler: inner(1), table: seed % 2 === 0 };
        return { kind: "block", body: inner(1) };
      case 8:
        return { kind: "table", depths: [random(labels), random(labels), random(labels)] };
      case 9:
        return { kind: "branchIf", chance: random(16), depth: random(labels) };
      case 10:
        if (random(3) === 0) return random(2) === 0 ? { kind: "return" } : { kind: "branch", depth: random(labels) };
        return { kind: "work", id: works++, nops: random(12) };
      case 11:
        if (self + 1 < functionCount) return { kind: "call", target: self + 1 + random(functionCount - self - 1) };
        return { kind: "work", id: works++, nops: random(12) };
      case 13:
        return { kind: "throw" };
      default:
        return { kind: "work", id: works++, nops: random(12) };
    }
  }

  const functions = Array.from({ length: functionCount }, (_, index) => nodes(0, 1, index));
  return { functions, counters };
}

/** The text of a program. `$hash` tells which work was done in which order; `$seed` decides what is random at run time. */
function textOf({ functions, counters }: Program): string {
  const dice = `(global.set $seed (i32.add (i32.mul (global.get $seed) (i32.const 1664525)) (i32.const 1013904223)))
    (i32.shr_u (global.get $seed) (i32.const 28))`;
  const all = (list: readonly Node[]): string => list.map(text).join("\n");
  function text(node: Node): string {
    switch (node.kind) {
      case "work":
        return `${"(nop)".repeat(node.nops)}
          (global.set $hash (i32.add (i32.mul (global.get $hash) (i32.const 31)) (i32.const ${node.id})))`;
      case "block":
        return `(block ${all(node.body)})`;
      case "loop":
        return `(local.set ${node.counter} (i32.const ${node.count}))
          (block (loop
            (local.set ${node.counter} (i32.sub (local.get ${node.counter}) (i32.const 1)))
            (br_if 1 (i32.lt_s (local.get ${node.counter}) (i32.const 0)))
            ${all(node.body)}
            (br 0)))`;
      case "if":
        return `${dice} (i32.const ${node.chance}) (i32.lt_u)
          (if (then ${all(node.yes)}) ${node.no === undefined ? "" : `(else ${all(node.no)})`})`;
      case "branchIf":
        return `${dice} (i32.const ${node.chance}) (i32.lt_u) (br_if ${node.depth})`;
      case "branch":
        return `(br ${node.depth})`;
      case "table":
        return `${dice} (br_table ${node.depths.join(" ")})`;
      case "return":
        return "(return)";
      case "call":
        return `(call $f${node.target})`;
      case "throw":
        return "(throw $t)";
      case "try":
        // In both forms the body lies in three labels, and the handler in one.
        if (!node.table) return `(try (do (block (block ${all(node.body)}))) (catch_all ${all(node.handler)}))`;
        return `(block (block (try_table (catch_all 0) ${all(node.body)}) (br 1)) ${all(node.handler)})`;
    }
  }
  const locals = "(local i32)".repeat(counters);
  return `(module (tag $t) (global $seed (export "seed") (mut i32) (i32.const 0)) (global $hash (export "hash") (mut i32) (i32.const 0))
    ${functions.map((body, index) => `(func $f${index} ${locals} ${all(body)})`).join("\n")}
    (func (export "run") (call $f0)))`;
}

/** How a node ended: it went on, or control goes to the label so many levels out, or out of the function, or throws. */
type Ending = "on" | "return" | "throw" | number;

interface Outcome {
  readonly hash: number;
  readonly threw: boolean;
  readonly fuel: number;
  readonly steps: number;
}

const mostSteps = 200_000;
const dieCost = 9;

function interpret({ functions, counters }: Program, startSeed: number): Outcome {
  let seed = startSeed;
  let hash = 0;
  let fuel = 0;
  let steps = 0;
  const roll = (): number => {
    fuel += dieCost;
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) | 0;
    return seed >>> 28;
  };
  const inLabel = (ending: Ending): Ending => (typeof ending !== "number" ? ending : ending === 0 ? "on" : ending - 1);

  function runAll(list: readonly Node[]): Ending {
    for (const node of list) {
      if (++steps > mostSteps) return "return";
      const ending = run(node);
      if (ending !== "on") return ending;
    }
    return "on";
  }

  function runLoop(count: number, body: readonly Node[]): Ending {
    fuel += 2 + 1 + 1;
    for (let left = count - 1; ; left--) {
      fuel += 1 + 4 + 4;
      if (left < 0) return "on";
      const ending = runAll(body);
      if (ending === "on") fuel += 1;
      else if (ending === 1) return "on";
      else if (ending !== 0) return typeof ending === "number" ? ending - 2 : ending;
      if (steps > mostSteps) return "return";
    }
  }

  function runTry(node: Node & { kind: "try" }): Ending {
    fuel += 3;
    const ending = runAll(node.body);
    // With a table, the second label is where the handler begins, and falling out of the first is followed by a branch.
    if (ending === "throw" || (node.table && ending === 1)) {
      fuel += 1;
      return inLabel(runAll(node.handler));
    }
    if (node.table && (ending === "on" || ending === 0)) fuel += 1;
    return inLabel(inLabel(inLabel(ending)));
  }

  function run(node: Node): Ending {
    switch (node.kind) {
      case "work":
        fuel += node.nops + 6;
        hash = (Math.imul(hash, 31) + node.id) | 0;
        return "on";
      case "block":
        fuel += 1;
        return inLabel(runAll(node.body));
      case "loop":
        return runLoop(node.count, node.body);
      case "if": {
        const taken = roll() < node.chance;
        fuel += 3;
        return inLabel(runAll(taken ? node.yes : (node.no ?? [])));
      }
      case "branchIf": {
        const taken = roll() < node.chance;
        fuel += 3;
        return taken ? node.depth : "on";
      }
      case "branch":
        fuel += 1;
        return node.depth;
      case "table": {
        const index = Math.min(roll(), node.depths.length - 1);
        fuel += 1;
        return node.depths[index] ?? 0;
      }
      case "return":
        fuel += 1;
        return "return";
      case "call":
        fuel += instructionCosts.call;
        return runFunction(node.target) === "throw" ? "throw" : "on";
      case "throw":
        fuel += instructionCosts.throw;
        return "throw";
      case "try":
        return runTry(node);
    }
  }

  function runFunction(index: number): Ending {
    fuel += 1 + Math.floor(counters / 4);
    return runAll(functions[index] ?? []);
  }

  fuel += 1 + instructionCosts.call;
  const threw = runFunction(0) === "throw";
  return { hash, threw, fuel, steps };
}

interface Run {
  readonly hash: unknown;
  readonly threw: boolean;
}

function runModule(instance: WebAssembly.Instance, seed: number): Run {
  const { run, seed: seedGlobal, hash } = instance.exports;
  assert.ok(
    typeof run === "function" && seedGlobal instanceof WebAssembly.Global && hash instanceof WebAssembly.Global,
  );
  seedGlobal.value = seed;
  hash.value = 0;
  try {
    Reflect.apply(run, undefined, []);
    return { hash: hash.value, threw: false };
  } catch (error) {
    assert.ok(error instanceof WebAssembly.Exception, String(error));
    return { hash: hash.value, threw: true };
  }
}

interface Comparison {
  readonly expected: Outcome;
  readonly used: number;
}

/** Runs programs with several seeds each; what does the same work in all three ways is handed to `check`. */
async function compare(exceptions: boolean, check: (comparison: Comparison, what: string) => void): Promise<number> {
  const limits = { memoryBytes: 0, tableEntries: 0, startFuel: 0 };
  let compared = 0;
  for (let programSeed = 1; programSeed <= 60; programSeed++) {
    const program = randomProgram(programSeed, exceptions);
    const bytes = await assemble(`program-${programSeed}`, textOf(program));
    const plain = new WebAssembly.Instance(new WebAssembly.Module(bytes));
    const metered = new WebAssembly.Instance(new WebAssembly.Module(rewrite(bytes, limits).bytes));
    const gauge = fuelGauge(metered);
    for (let seed = 1; seed <= 5; seed++) {
      const expected = interpret(program, seed);
      if (expected.steps > mostSteps) continue;
      const what = `program ${programSeed}, seed ${seed}`;
      const outcome = { hash: expected.hash, threw: expected.threw };
      assert.deepEqual(runModule(plain, seed), outcome, `${what}, as it is`);
      gauge.set(1e12);
      assert.deepEqual(runModule(metered, seed), outcome, `${what}, metered`);
      check({ expected, used: 1e12 - gauge.get() }, what);
      compared++;
    }
  }
  return compared;
}

describe("random programs", () => {
  it("do the same work metered, and pay exactly what they run", async () => {
    const compared = await compare(false, ({ expected, used }, what) => assert.equal(used, expected.fuel, what));
    assert.ok(compared > 250, `${compared} runs were compared`);
  });

  it("pay at least what they run when they throw, and not much more", async () => {
    let used = 0;
    let expected = 0;
    const compared = await compare(true, (comparison, what) => {
      assert.ok(comparison.used >= comparison.expected.fuel, `${what}: ${comparison.used}`);
      used += comparison.used;
      expected += comparison.expected.fuel;
    });
    assert.ok(compared > 250, `${compared} runs were compared`);
    assert.ok(used < expected * 1.2, `${used} for ${expected}`);
  });
});
