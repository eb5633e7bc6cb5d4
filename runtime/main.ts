import { cli } from "./cli/cli.ts";

const print = (stream: NodeJS.WriteStream) => (line: string) => void stream.write(`${line}\n`);

// The parts load with the command that needs them: `outrigger check` has no use for gRPC.
process.exitCode = await cli(process.argv.slice(2), {
  environment: process.env,
  out: print(process.stdout),
  err: print(process.stderr),
  load: async (file) => (await import("./configuration-file.ts")).load(file),
  start: async (file) => (await import("./runtime.ts")).run(file, print(process.stdout)),
});
