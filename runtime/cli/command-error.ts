/** How a command may end, and what that means to who runs it in a script. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  rolledBack: 4,
  timeout: 5,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitMeanings: Readonly<Record<ExitCode, string>> = {
  0: "done",
  1: "it failed, or the module that was inspected could not run here",
  2: "wrong usage, a wrong configuration, or a token that the sidecar does not take",
  3: "refused: what was to be deployed cannot be fetched, or is not acceptable as a plugin; what ran before goes on",
  4: "the version that was waited for was rolled back, aborted or replaced",
  5: "the time of --timeout was over; what was begun goes on",
  130: "interrupted; what was begun goes on",
};

/** Ends a command with its exit code; the message is all that its user is told. */
export class CommandError extends Error {
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CommandError";
    this.exitCode = exitCode;
  }
}

/** A command that is not written as it should be. */
export const misuse = (message: string): CommandError => new CommandError(exitCodes.usage, message);
