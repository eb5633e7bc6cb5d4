import type { PluginProgram } from "../../runtime/plugin/contract.ts";
import type { GuestHost } from "../../runtime/wasm-component/provider.ts";

/** The host of one instance, as the interfaces that a component imports see it, without a component. */
export class ComponentHost implements GuestHost {
  readonly program: PluginProgram;
  readonly services: GuestHost["services"];
  readonly #controller = new AbortController();
  readonly #acts: (() => void)[] = [];
  readonly lines: string[] = [];
  paid = 0;

  constructor(
    given: { readonly program?: Partial<PluginProgram>; readonly services?: Partial<GuestHost["services"]> } = {},
  ) {
    this.program = { name: "test", version: "1", environment: {}, ...given.program } as PluginProgram;
    this.services = { ...given.services } as GuestHost["services"];
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  pay(fuel: number): void {
    this.paid += fuel;
  }

  waited(): void {}

  atEnd(act: () => void): void {
    this.#acts.push(act);
  }

  exit(hasFailed: boolean): never {
    throw new Error(hasFailed ? "it exited with a failure" : "it exited");
  }

  log(level: string, line: string): void {
    this.lines.push(`${level}: ${line}`);
  }

  /** The call under way ends. */
  end(): void {
    for (const act of this.#acts.splice(0)) act();
  }

  /** The call under way is given up. */
  abort(reason: Error): void {
    this.#controller.abort(reason);
  }
}
