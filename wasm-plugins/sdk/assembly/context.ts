import { proxy_set_effective_context } from "./abi";

/** What the host knows by a number: a plugin with its configuration, or a stream. */
export abstract class Context {
  /** The host's number; 0 before the host knows it. */
  id: u32 = 0;
  /** The host was told to forget it. */
  deleted: bool = false;
  /** Calls whose answer is outstanding. */
  calls: i32 = 0;

  /** Makes hostcalls act on this context until the current callback ends; only needed to reach one from another. */
  use(): void {
    proxy_set_effective_context(this.id);
  }

  /** The host calls a function of the guest by number; `argument` is what it hands over. Hosts seldom do. */
  onForeignFunction(functionId: u32, argument: Uint8Array): void {}
}

let running: Context | null = null;

/** The context whose callback runs. */
export function currentContext(): Context {
  const context = running;
  if (context === null) throw new Error("calls are made from callbacks, not while the module starts");
  return context;
}

/** Notes whose callback runs from now on. */
export function enter(context: Context): void {
  running = context;
}
