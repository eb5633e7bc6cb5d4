/** One thing wrong with a configuration file. */
export interface Mistake {
  /** Where in the file: `ingress.routes[0].to.plugin`; empty for the file as a whole. */
  readonly path: string;
  /** Line and column from 1, when known. */
  readonly position?: { readonly line: number; readonly column: number };
  /** What is wrong and what would be right. */
  readonly message: string;
}

/** A configuration that was refused, with every mistake in it. */
export class ConfigurationError extends Error {
  readonly mistakes: readonly Mistake[];

  constructor(file: string, mistakes: readonly Mistake[]) {
    const count = mistakes.length === 1 ? "1 mistake" : `${mistakes.length} mistakes`;
    super([`${file}: ${count}`, ...mistakes.map((mistake) => `  ${describe(mistake)}`)].join("\n"));
    this.name = "ConfigurationError";
    this.mistakes = mistakes;
  }
}

function describe({ path, position, message }: Mistake): string {
  const where = position === undefined ? "" : ` (line ${position.line}, column ${position.column})`;
  return path === "" ? `${message}${where}` : `${path}${where}: ${message}`;
}

export type Path = readonly PropertyKey[];

/** `["routes", 0, "to"]` as `routes[0].to`. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    const name = /^[A-Za-z0-9_-]+$/.test(String(key)) ? String(key) : JSON.stringify(key);
    return text === "" ? name : `${text}.${name}`;
  }, "");
}
