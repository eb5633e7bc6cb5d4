import { cli } from "./cli/cli.ts";

const print = (stream: NodeJS.WriteStream) => (line: string) => void stream.write(`${line}\n`);

/** Who reads our output has read enough, as `head` does; shells know the code of a broken pipe. */
const endQuietly = (error: NodeJS.ErrnoException): void => {
  if (error.code === "EPIPE") process.exit(141);
  // Where this cannot be written either, the exit code tells.
  process.stderr.off("error", endQuietly).on("error", () => process.exit(1));
  process.stderr.write(`the output cannot be written (${error.code ?? error.message})\n`, () => process.exit(1));
};
for (const stream of [process.stdout, process.stderr]) stream.on("error", endQuietly);

// The parts load with the command that needs them: `outrigger check` has no use for gRPC.
process.exitCode = await cli(process.argv.slice(2), {
  environment: process.env,
  out: print(process.stdout),
  err: print(process.stderr),
  terminal: process.stderr.isTTY && process.env["TERM"] !== "dumb" ? process.stderr : undefined,
  input: () => process.stdin,
  interruption: () => {
    const interruption = new AbortController();
    process.once("SIGINT", () => interruption.abort());
    return interruption.signal;
  },
  load: async (file) => (await import("./configuration-file.ts")).load(file),
  start: async (file) => {
    for (const stream of [process.stdout, process.stderr]) stream.off("error", endQuietly);
    return (await import("./runtime.ts")).run(file, print(process.stdout));
  },
});
