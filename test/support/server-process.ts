import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

/** A server of the test's own, with a temporary directory of its own. Disposing kills it and removes the directory. */
export interface ServerProcess extends AsyncDisposable {
  readonly directory: string;
  /** The process that runs now, or ran last. */
  readonly process: ChildProcess;
  /** Sends SIGKILL and resolves once the process is gone; what it wrote to its directory stays. */
  kill(): Promise<void>;
  /** Starts it again with the same parameters in the same directory; resolves once it is ready. */
  start(): Promise<void>;
}

export interface ServerProgram {
  /** Path of the program. */
  readonly program: string;
  /** Its parameters, and files it needs are to be written to the directory. */
  readonly parameters: (directory: string) => readonly string[] | Promise<readonly string[]>;
  /** Whether it can be used, given all that it wrote since it started; asked whenever it writes, and ten times a second. */
  readonly isReady: (written: string) => boolean | Promise<boolean>;
  readonly environment?: Readonly<Record<string, string>>;
  /** Whom it runs as, for programs that refuse root. The directory belongs to them. */
  readonly user?: { readonly uid: number; readonly gid: number };
}

const readyMs = 60_000;
const pollMs = 100;

/** Starts the program; rejects with what it wrote when it ends before it is ready, or is not ready within a minute. */
export async function startServer(program: ServerProgram): Promise<ServerProcess> {
  const directory = await mkdtemp(join(tmpdir(), `outrigger-${basename(program.program)}-`));
  const parameters = await program.parameters(directory);
  let running = await launch(program, parameters, directory);
  return {
    directory,
    get process() {
      return running.child;
    },
    kill: () => running.kill(),
    start: async () => {
      running = await launch(program, parameters, directory);
    },
    [Symbol.asyncDispose]: async () => {
      await running.kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function launch(
  { program, isReady, environment, user }: ServerProgram,
  parameters: readonly string[],
  cwd: string,
): Promise<{ child: ChildProcess; kill(): Promise<void> }> {
  const env = { ...process.env, ...environment };
  const child = spawn(program, [...parameters], { cwd, stdio: ["ignore", "pipe", "pipe"], env, ...user });
  let written = "";
  for (const output of [child.stdout, child.stderr]) {
    output.setEncoding("utf8").on("data", (text: string) => {
      // Some write a lot for as long as they run.
      written = (written + text).slice(-1_000_000);
    });
  }
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    child.once("error", (error) => {
      written += String(error);
      resolve();
    });
    child.once("close", () => resolve());
  }).then(() => {
    hasEnded = true;
  });
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
  };
  const giveUpAtMs = performance.now() + readyMs;
  while (!(await isReady(written))) {
    if (!hasEnded && performance.now() < giveUpAtMs) {
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, pollMs))]);
      continue;
    }
    await kill();
    throw new Error(`${program} ${hasEnded ? "ended before it was" : "did not become"} ready:\n${written}`);
  }
  return { child, kill };
}

/** A port that nothing listens on, for a server that cannot choose one itself. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("a TCP server has no port");
  return address.port;
}
