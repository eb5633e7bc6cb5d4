import type { Readable } from "node:stream";
import type { OperationDoc } from "./operation-doc.ts";

/** A request as a route sees it, once it was let in. */
export interface AdminRequest {
  /** What stands for `{name}` and the like in the route's path. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Without parameters, in lower case; empty when there is no body. */
  readonly contentType: string;
  /** The body as text, of at most 1 MiB; rejects with BadRequest when it is longer or does not come. */
  text(): Promise<string>;
  /** The body as it comes. */
  readonly stream: Readable;
  accepts(contentType: string): boolean;
  /** The name of the token it came with; empty when the route needs none. */
  readonly by: string;
  /** Aborts when who asked is gone, or the API closes. */
  readonly signal: AbortSignal;
}

export interface Reply {
  /** Default 200. */
  readonly status?: number;
  /** Default application/json. */
  readonly type?: string;
  /** Text as it is; anything else as JSON. */
  readonly body: unknown;
}

/** An answer that is written line by line, each as JSON, as they come. */
export interface LinesReply {
  readonly lines: AsyncIterable<unknown>;
}

export type Method = "GET" | "POST" | "PUT" | "DELETE";

/** One method on one path. */
export interface Route {
  readonly method: Method;
  /** `{name}` stands for one segment, whatever it is. */
  readonly path: string;
  readonly doc: OperationDoc;
  /** What the body may be; default `application/json`. */
  readonly takes?: readonly string[];
  /** Whether a GET needs a token, as everything else does; default false. */
  readonly isPrivate?: boolean;
  answer(request: AdminRequest): Reply | LinesReply | Promise<Reply | LinesReply>;
}

/** What was asked for cannot be understood, or is too much: told with that status. */
export class BadRequest extends Error {
  readonly status: number;

  constructor(message: string, status = 400) {
    super(message);
    this.name = "BadRequest";
    this.status = status;
  }
}

/** The path's parameters when it is one of the route's; undefined when it is not. */
export function matchPath(template: string, path: string): Record<string, string> | undefined {
  const wanted = template.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, segment] of wanted.entries()) {
    const value = given[index] ?? "";
    const name = /^\{(\w+)\}$/.exec(segment)?.[1];
    if (name === undefined && segment !== value) return undefined;
    if (name !== undefined) {
      const decoded = decode(value);
      if (decoded === undefined || decoded === "") return undefined;
      parameters[name] = decoded;
    }
  }
  return parameters;
}

function decode(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

/** The text as JSON, undefined when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
