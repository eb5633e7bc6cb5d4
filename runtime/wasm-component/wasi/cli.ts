import type { ImportedInterface } from "../provider.ts";
import { emptySource, InputStream } from "./input-stream.ts";
import { LogSink } from "./log-sink.ts";
import { OutputStream } from "./output-stream.ts";

/** There is never one. */
class TerminalInput {}
class TerminalOutput {}

const without = (name: string, functions: Readonly<Record<string, unknown>>): ImportedInterface => ({
  name: `wasi:cli/${name}`,
  versions: "0.2",
  waiting: [],
  make: () => functions,
});
const noTerminal = (): undefined => undefined;

/** `wasi:cli`: the environment of the manifest, no arguments, nothing to read; what is printed goes to the plugin's log. */
export const cliImports: readonly ImportedInterface[] = [
  {
    name: "wasi:cli/environment",
    versions: "0.2",
    waiting: [],
    make: (host) => ({
      getEnvironment: () => Object.entries(host.program.environment),
      getArguments: () => [],
      initialCwd: () => undefined,
    }),
  },
  {
    name: "wasi:cli/exit",
    versions: "0.2",
    waiting: [],
    make: (host) => ({
      exit: (status: { readonly tag: "ok" | "err" }) => host.exit(status.tag === "err"),
      exitWithCode: (code: number) => host.exit(code !== 0),
    }),
  },
  {
    name: "wasi:cli/stdin",
    versions: "0.2",
    waiting: [],
    make: (host) => ({ getStdin: () => new InputStream(host, emptySource) }),
  },
  {
    name: "wasi:cli/stdout",
    versions: "0.2",
    waiting: [],
    make: (host) => {
      const sink = new LogSink(host, "info");
      return { getStdout: () => new OutputStream(host, sink) };
    },
  },
  {
    name: "wasi:cli/stderr",
    versions: "0.2",
    waiting: [],
    make: (host) => {
      const sink = new LogSink(host, "error");
      return { getStderr: () => new OutputStream(host, sink) };
    },
  },
  without("terminal-input", { TerminalInput }),
  without("terminal-output", { TerminalOutput }),
  without("terminal-stdin", { getTerminalStdin: noTerminal }),
  without("terminal-stdout", { getTerminalStdout: noTerminal }),
  without("terminal-stderr", { getTerminalStderr: noTerminal }),
];
