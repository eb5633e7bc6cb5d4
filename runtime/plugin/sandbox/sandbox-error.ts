/** Why a module is not let into the sandbox: one sentence that names the feature or the fault and where it lies. */
export class SandboxError extends Error {
  /** Offset in the module as it was given, when the fault lies at a byte. */
  readonly offset: number | undefined;

  constructor(message: string, offset?: number) {
    super(message);
    this.name = "SandboxError";
    this.offset = offset;
  }
}
