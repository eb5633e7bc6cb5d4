import http from "node:http";
import https from "node:https";
import { createSecureContext } from "node:tls";
import { z } from "zod";
import { milliseconds } from "../clients/milliseconds.ts";
import { secretSetting } from "../clients/secret-setting.ts";
import { readTlsFiles, type TlsFiles, tlsSettings } from "../clients/tls-settings.ts";
import { withinCall } from "../clients/within-call.ts";
import { type CallContext, type OpenContext, throwIfAborted } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { codeOfHttpStatus } from "../http-status.ts";
import { codeOf, messageOf } from "../thrown.ts";
import { type Binding, type BindingResponse, defineBinding, type InvokeBinding } from "./binding.ts";
import { headersOf, metadataOf, mistakeOfHeader, urlBelow } from "./http-request.ts";

const settings = z.strictObject({
  url: z
    .url({ protocol: /^https?$/ })
    .refine((url) => {
      const { username, password, hash, search } = new URL(url);
      return `${username}${password}${hash}${search}` === "";
    }, "expected http://HOST:PORT/PATH without user, password, query and fragment; credentials go into headers")
    .describe("Address that the paths of calls are appended to: http:// or https://HOST:PORT/PATH"),
  headers: z
    .record(z.string().min(1), secretSetting)
    .superRefine((headers, context) => {
      for (const [name, value] of Object.entries(headers)) {
        const mistake = mistakeOfHeader(name, typeof value === "string" ? value : "");
        if (mistake === undefined) continue;
        context.addIssue({
          code: "custom",
          path: [name],
          input: value,
          message: `expected a header that can be sent, but ${mistake}`,
        });
      }
    })
    .default({})
    .describe("Headers of every request, such as Authorization; those of a call cannot change them"),
  timeoutMs: milliseconds
    .default(15_000)
    .describe("Longest time for an answer, within the call's own deadline, in milliseconds; default 15 seconds"),
  errorIfNot2XX: z
    .boolean()
    .default(true)
    .describe("Whether an answer that is not 2xx fails the call; its metadata errorIfNot2XX may say otherwise"),
  maxResponseBytes: z
    .int()
    .positive()
    .default(4 * 1024 ** 2)
    .describe("Most bytes of a response's body; default 4 MiB"),
  maxConnections: z.int().positive().default(64).describe("Most connections at once; calls wait for one; default 64"),
  maxRedirects: z
    .int()
    .min(0)
    .max(20)
    .default(0)
    .describe("Redirects to follow, of get and head and to the same host only; default 0: a redirect is the answer"),
  tls: tlsSettings.optional().describe("What to trust and to show where the url is https"),
});

type HttpSettings = z.output<typeof settings>;

/** Requests to one HTTP server, with the operations and the metadata of Dapr's HTTP binding. */
export const httpBinding = defineBinding({
  type: "http",
  capabilities: ["output"],
  config: settings,
  async open(config, context) {
    const owner = `the binding '${context.name}'`;
    return new HttpBinding(config, {
      owner,
      headers: await fixedHeaders(config, context, owner),
      tls: await tlsOf(config, owner),
    });
  },
});

async function fixedHeaders({ headers }: HttpSettings, { secret }: OpenContext, owner: string) {
  const resolved: Record<string, string> = {};
  for (const [name, setting] of Object.entries(headers)) {
    const value = await secret(setting);
    const mistake = mistakeOfHeader(name, value);
    if (mistake !== undefined)
      throw new RuntimeError(
        "INVALID_ARGUMENT",
        "HEADER_INVALID",
        `${owner} cannot send the header '${name}': ${mistake}`,
      );
    resolved[name.toLowerCase()] = value;
  }
  return resolved;
}

async function tlsOf({ tls }: HttpSettings, owner: string): Promise<TlsFiles> {
  try {
    const files = tls === undefined ? {} : await readTlsFiles(tls);
    createSecureContext(files);
    return files;
  } catch (cause) {
    throw new RuntimeError(
      "INVALID_ARGUMENT",
      "TLS_FILES_UNUSABLE",
      `${owner} cannot use the files of its tls: ${messageOf(cause)}`,
    );
  }
}

/** The method of each operation. `create` is what other bindings call it, and Dapr here too. */
const methods: Readonly<Record<string, string>> = {
  create: "POST",
  delete: "DELETE",
  get: "GET",
  head: "HEAD",
  options: "OPTIONS",
  patch: "PATCH",
  post: "POST",
  put: "PUT",
  trace: "TRACE",
};
const withoutBody = new Set(["GET", "HEAD", "TRACE"]);
const idempotent = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);
const redirects = new Set([301, 302, 303, 307, 308]);
const quotedCharacters = 256;

interface Outgoing {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

interface Answer {
  readonly status: number;
  readonly statusText: string;
  readonly rawHeaders: readonly string[];
  readonly location: string | undefined;
  readonly body: Uint8Array;
}

class HttpBinding implements Binding {
  readonly operations = Object.keys(methods);
  readonly #config: HttpSettings;
  readonly #base: URL;
  readonly #owner: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #agent: http.Agent;
  readonly #request: typeof http.request;

  constructor(
    config: HttpSettings,
    { owner, headers, tls }: { owner: string; headers: Readonly<Record<string, string>>; tls: TlsFiles },
  ) {
    this.#config = config;
    this.#base = new URL(config.url);
    this.#owner = owner;
    this.#headers = headers;
    const connections = { keepAlive: true, maxSockets: config.maxConnections, maxFreeSockets: config.maxConnections };
    const isTls = this.#base.protocol === "https:";
    this.#agent = isTls ? new https.Agent({ ...connections, ...tls }) : new http.Agent(connections);
    this.#request = isTls ? https.request : http.request;
  }

  async invoke({ operation, data, metadata }: InvokeBinding, call: CallContext): Promise<BindingResponse> {
    throwIfAborted(call);
    const method = methods[operation] ?? "";
    if (data.length > 0 && withoutBody.has(method)) {
      const message = `${this.#owner} sends no data with ${operation}; use post, put or patch`;
      throw new RuntimeError("INVALID_ARGUMENT", "BODY_NOT_ALLOWED", message);
    }
    const outgoing: Outgoing = {
      method,
      url: urlBelow(this.#base, metadata.path ?? "", this.#owner),
      headers: {
        ...(data.length > 0 && { "content-type": "application/json; charset=utf-8" }),
        ...(call.traceparent !== undefined && { traceparent: call.traceparent }),
        ...headersOf(metadata, this.#owner),
        ...this.#headers,
      },
      body: data,
    };
    const isStrict = this.#isErrorIfNot2XX(metadata);
    const answer = await this.#within(call, (signal) => this.#follow(outgoing, signal));
    if (isStrict && !isSuccess(answer.status)) throw this.#refused(outgoing, answer);
    return {
      data: answer.body,
      metadata: {
        ...metadataOf(answer.rawHeaders),
        statusCode: String(answer.status),
        status: `${answer.status} ${answer.statusText}`.trimEnd(),
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy();
  }

  /** Ends the work with the call, or when the server takes too long. */
  async #within<T>(call: CallContext, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const ending = new AbortController();
    try {
      const bound = {
        longestMs: this.#config.timeoutMs,
        server: `the server of ${this.#owner} (${this.#base.origin})`,
      };
      return await withinCall(work(ending.signal), call, bound);
    } finally {
      ending.abort();
    }
  }

  async #follow(outgoing: Outgoing, signal: AbortSignal): Promise<Answer> {
    let next = outgoing;
    for (let left = this.#config.maxRedirects; ; left--) {
      const answer = await this.#sendAgain(next, signal);
      const target = left > 0 && withoutBody.has(next.method) ? redirectOf(answer, next.url) : undefined;
      if (target === undefined) return answer;
      next = { ...next, url: target };
    }
  }

  /** Once more where the server closed a kept connection just when it was used, and twice does no harm. */
  async #sendAgain(outgoing: Outgoing, signal: AbortSignal): Promise<Answer> {
    for (;;) {
      const sent = { reusedSocket: false };
      try {
        return await this.#send(outgoing, signal, sent);
      } catch (cause) {
        if (cause instanceof RuntimeError) throw cause;
        if (sent.reusedSocket && idempotent.has(outgoing.method) && !signal.aborted) continue;
        const why = codeOf(cause) ?? "the exchange failed";
        const message = `the server of ${this.#owner} (${this.#base.origin}) cannot be reached or broke off: ${why}`;
        throw new RuntimeError("UNAVAILABLE", "HTTP_SERVER_UNAVAILABLE", message, { cause });
      }
    }
  }

  #send(
    { method, url, headers, body }: Outgoing,
    signal: AbortSignal,
    sent: { reusedSocket: boolean },
  ): Promise<Answer> {
    const { maxResponseBytes } = this.#config;
    return new Promise((resolve, reject) => {
      const request = this.#request(url, {
        method,
        agent: this.#agent,
        signal,
        headers: { ...headers, ...lengthOf(body, method) },
      });
      request.on("error", (error) => {
        sent.reusedSocket = request.reusedSocket;
        reject(error);
      });
      request.on("response", (response) => {
        // What has begun to come is not asked for again.
        const fail = (error: Error): void => {
          reject(error);
          request.destroy();
        };
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("error", fail);
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size > maxResponseBytes) fail(this.#tooLarge());
          else chunks.push(chunk);
        });
        response.on("end", () => {
          const { statusCode: status = 0, statusMessage: statusText = "", rawHeaders } = response;
          const { location } = response.headers;
          resolve({ status, statusText, rawHeaders, location, body: Buffer.concat(chunks) });
        });
      });
      request.end(body);
    });
  }

  #isErrorIfNot2XX({ errorIfNot2XX }: InvokeBinding["metadata"]): boolean {
    if (errorIfNot2XX === undefined || errorIfNot2XX === "") return this.#config.errorIfNot2XX;
    if (/^(true|false)$/i.test(errorIfNot2XX)) return errorIfNot2XX.toLowerCase() === "true";
    const message = `the metadata errorIfNot2XX is '${errorIfNot2XX}'; expected true or false`;
    throw new RuntimeError("INVALID_ARGUMENT", "METADATA_INVALID", message);
  }

  #refused({ method, url }: Outgoing, { status, body }: Answer): RuntimeError {
    const text = new TextDecoder().decode(body.subarray(0, 4 * quotedCharacters)).slice(0, quotedCharacters);
    // Control characters have no place in a status message.
    const quoted = text.replace(/[\p{Cc}\s]+/gu, " ").trim();
    const why = redirects.has(status) ? this.#whyNotFollowed(method) : quoted;
    const message = `the server of ${this.#owner} (${url.origin}) answered ${method} with ${status}${why === "" ? "" : `: ${why}`}`;
    const details = { httpStatus: String(status) };
    const code = redirects.has(status) ? "FAILED_PRECONDITION" : codeOfHttpStatus(status);
    return new RuntimeError(code, "HTTP_STATUS_NOT_2XX", message, { details });
  }

  #whyNotFollowed(method: string): string {
    if (!withoutBody.has(method)) return "only redirects of get and head are followed";
    const { maxRedirects } = this.#config;
    if (maxRedirects === 0) return "redirects are not followed; maxRedirects of the binding allows it";
    return `redirects are followed on the same host, at most ${maxRedirects} times`;
  }

  #tooLarge(): RuntimeError {
    const message = `the answer to ${this.#owner} has more than ${this.#config.maxResponseBytes} bytes; raise its maxResponseBytes`;
    return new RuntimeError("RESOURCE_EXHAUSTED", "RESPONSE_TOO_LARGE", message);
  }
}

const isSuccess = (status: number): boolean => status >= 200 && status < 300;

/** Methods that may have a body say that they have none. */
const lengthOf = (body: Uint8Array, method: string): Record<string, number> =>
  withoutBody.has(method) ? {} : { "content-length": body.length };

/** Where to go on, when the answer sends to another path of the same host. */
function redirectOf({ status, location }: Answer, from: URL): URL | undefined {
  if (!redirects.has(status) || location === undefined || !URL.canParse(location, from)) return undefined;
  const target = new URL(location, from);
  return target.origin === from.origin ? target : undefined;
}
