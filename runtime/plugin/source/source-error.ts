/** Why a module could not be fetched, as the rest of a sentence that begins with where it should have come from. */
export class SourceError extends Error {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = "SourceError";
  }
}
