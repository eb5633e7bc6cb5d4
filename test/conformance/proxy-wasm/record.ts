/**
 * `node test/conformance/proxy-wasm/record.ts FILE`: runs the suite of the Proxy-Wasm host and writes to the file, as JSON,
 * which functions guests called in which test, and what they were answered.
 */
import { writeFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe } from "node:test";
import { spokenVersion } from "../../../runtime/proxy-wasm/abi.ts";
import type { GuestExports } from "../../../runtime/proxy-wasm/guest-exports.ts";
import { Vm } from "../../../runtime/proxy-wasm/vm.ts";
import type { Recording, Use } from "./coverage.ts";

type Observe = (answer: unknown) => void;
type HostFunction = (...parameters: unknown[]) => unknown;

/**
 * Those that compile guests take long and call nothing that the others do not; one would record itself, and in one what was
 * taken away answers in place of hostcalls.
 */
const leftOut = ["assemblyscript.test.ts", "coverage.test.ts", "fuzz.test.ts", "restriction.test.ts"];
const [output = "recording.json"] = process.argv.slice(2);

let [file, test] = ["", ""];
const uses = new Map<string, Use>();
const hostcalls = new Set<string>();
const waiting = new WeakMap<WebAssembly.Suspending, { observe: Observe | undefined }>();

function note(name: string, version: string | undefined, answer: unknown): void {
  if (test === "" || version === undefined) return;
  const use: Use = { file, test, name, version, ...(typeof answer === "number" ? { answer } : {}) };
  uses.set(JSON.stringify(use), use);
}

/** The function, which tells what it answered; an answer that comes later when it has come. */
function observed(run: HostFunction, observe: Observe): HostFunction {
  return (...parameters) => {
    let answer: unknown;
    try {
      answer = run(...parameters);
    } catch (error) {
      observe(undefined);
      throw error;
    }
    if (answer instanceof Promise) answer.then(observe, () => observe(undefined));
    else observe(answer);
    return answer;
  };
}

// Functions that suspend their guest cannot be called by anyone else: they are observed from their making on.
WebAssembly.Suspending = new Proxy(WebAssembly.Suspending, {
  construct(target, [run]: [HostFunction]) {
    const told: { observe: Observe | undefined } = { observe: undefined };
    const made = new target(observed(run, (answer) => told.observe?.(answer)));
    waiting.set(made, told);
    return made;
  },
});

const instantiate = WebAssembly.instantiate;
Object.assign(WebAssembly, {
  instantiate(module: WebAssembly.Module | ArrayBuffer, imports: WebAssembly.Imports) {
    // Only the tool that assembles the guests brings bytes.
    if (!(module instanceof WebAssembly.Module)) return instantiate(module, imports);
    const version = spokenVersion(module);
    const observing = Object.entries(imports).map(([from, functions]) => {
      const wrapped = Object.entries(functions).map(([name, run]) => {
        const full = from === "env" ? name : `${from}.${name}`;
        hostcalls.add(full);
        const observe: Observe = (answer) => note(full, version, answer);
        if (run instanceof WebAssembly.Suspending) {
          const told = waiting.get(run);
          if (told !== undefined) told.observe = observe;
          return [name, run];
        }
        return [name, typeof run === "function" ? observed(run as HostFunction, observe) : run];
      });
      return [from, Object.fromEntries(wrapped)];
    });
    return instantiate(module, Object.fromEntries(observing));
  },
});

const { attach, callNow, callLater } = Vm.prototype;
const versionOf = (vm: Vm): string | undefined => spokenVersion(vm.program.module.module);

Object.assign(Vm.prototype, {
  attach(this: Vm, exports: GuestExports) {
    const { module } = this.program.module;
    const hasMalloc = WebAssembly.Module.exports(module).some(({ name }) => name === "malloc");
    const name = hasMalloc ? "malloc" : "proxy_on_memory_allocate";
    const allocate = (size: number): number => {
      note(name, versionOf(this), undefined);
      return exports.allocate(size);
    };
    attach.call(this, { ...exports, allocate });
  },
  callNow(this: Vm, ...parameters: Parameters<typeof callNow>) {
    note(parameters[1].name, versionOf(this), undefined);
    return callNow.apply(this, parameters);
  },
  callLater(this: Vm, ...parameters: Parameters<typeof callLater>) {
    note(parameters[1].name, versionOf(this), undefined);
    return callLater.apply(this, parameters);
  },
});

beforeEach((context) => {
  if (!("fullName" in context)) return;
  const [from = "", ...titles] = context.fullName.split(" > ");
  file = from;
  test = titles.join(": ");
});

process.on("exit", () => {
  const recording: Recording = { hostcalls: [...hostcalls], uses: [...uses.values()] };
  writeFileSync(output, JSON.stringify(recording));
});

const names = await Array.fromAsync(glob("*.test.ts", { cwd: import.meta.dirname }));
for (const name of names.sort())
  if (!leftOut.includes(name)) void describe(name, async () => void (await import(join(import.meta.dirname, name))));
