import type { PluginProgram } from "../plugin/contract.ts";

/** A program that has brought down so many VMs that others shared gets its next ones to itself. */
const mostCrashes = 3;

/** What is known of programs that may share VMs, for as long as they are used. */
export class StartRecord {
  readonly #proven = new WeakSet<PluginProgram>();
  readonly #loners = new WeakSet<PluginProgram>();
  readonly #crashes = new WeakMap<PluginProgram, number>();

  /** Whether it has started in company. */
  isProven(program: PluginProgram): boolean {
    return this.#proven.has(program);
  }

  /** Whether it has VMs to itself: it could not start in company, or brought others down too often. */
  isLoner(program: PluginProgram): boolean {
    return this.#loners.has(program);
  }

  prove(program: PluginProgram): void {
    this.#proven.add(program);
  }

  keepAlone(program: PluginProgram): void {
    this.#loners.add(program);
  }

  /** It brought down a VM that others shared. */
  crashed(program: PluginProgram): void {
    const crashes = (this.#crashes.get(program) ?? 0) + 1;
    this.#crashes.set(program, crashes);
    if (crashes >= mostCrashes) this.#loners.add(program);
  }
}
