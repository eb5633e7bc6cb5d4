import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { eventually } from "../conformance/backend.ts";

const main = fileURLToPath(new URL("../../runtime/main.ts", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A command that runs; it is killed with the scope. */
export interface RunningCommand extends Disposable {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when the command has written that, on either output. */
  wrote(pattern: RegExp): Promise<void>;
}

export interface CommandSurroundings {
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: Uint8Array;
  readonly directory?: string;
}

/** Starts `outrigger` as its users do: as a process, without a terminal. */
export function startCommand(
  parameters: readonly string[],
  { environment = {}, input, directory }: CommandSurroundings = {},
): RunningCommand {
  const child = spawn(process.execPath, [main, ...parameters], {
    env: { ...process.env, ...environment },
    cwd: directory,
    stdio: ["pipe", "pipe", "pipe"],
  });
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const ended = new Promise<Ended>((resolve) => child.once("close", (code) => resolve({ code, out, err })));
  return {
    process: child,
    ended,
    wrote: (pattern) => eventually(`the command writes ${pattern}`, () => pattern.test(out) || pattern.test(err)),
    [Symbol.dispose]: () => void child.kill("SIGKILL"),
  };
}
