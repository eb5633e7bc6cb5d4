/** A JSON Schema. */
export type Schema = Readonly<Record<string, unknown>>;
type Content = Readonly<Record<string, { readonly schema: Schema }>>;

export interface ParameterDoc {
  readonly name: string;
  readonly in: "path" | "query";
  readonly description: string;
  readonly required?: boolean;
  readonly schema: Schema;
}

export interface ResponseDoc {
  readonly description: string;
  readonly content?: Content;
}

/** What a route says of itself, as OpenAPI words it. */
export interface OperationDoc {
  readonly summary: string;
  readonly description?: string;
  readonly tags: readonly string[];
  /** With `token` where one is needed. */
  readonly security?: readonly Readonly<Record<"token", readonly string[]>>[];
  /** Beside those of the path. */
  readonly parameters?: readonly ParameterDoc[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Content };
  /** By status. */
  readonly responses: Readonly<Record<string, ResponseDoc>>;
}

/** A schema of the document, by its name there. */
export const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
