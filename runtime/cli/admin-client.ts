import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { codeOf } from "../../components/thrown.ts";
import { CommandError, type ExitCode, exitCodes, misuse } from "./command-error.ts";

export interface AdminClientOptions {
  /** `host:port` or a URL. */
  readonly address: string;
  /** Undefined when none was given. */
  readonly token: string | undefined;
  /** Longest time that an answer takes from its first byte to its last, and a question with it; default 20 s. */
  readonly answerMs?: number;
}

export interface Asked {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** A module that is sent as it comes, in place of a body. */
  readonly upload?: { readonly stream: Readable; readonly bytes: number | undefined };
  readonly signal?: AbortSignal;
}

/** Asks the admin API of one sidecar. Every failure is a CommandError that says what to do. */
export interface AdminClient {
  /** `host:port`, for messages. */
  readonly host: string;
  /** The answer as a whole. */
  json(asked: Asked): Promise<unknown>;
  /** The answer line by line, as the lines come. */
  lines(asked: Asked): AsyncGenerator<unknown>;
  /** What an answer with that status and that sentence ends a command with. */
  failure(status: number, sentence: string): CommandError;
  /** For an answer that no admin API gives. */
  foreign(cause?: unknown): CommandError;
}

/** No answer, or nothing of it, for so long. */
const silentMs = 10_000;
/** What is deployed or gone back to has to be compiled and started first. */
const silentChangeMs = 300_000;
/** Whoever does not say in that time that a module may come gets it all the same. */
const continueMs = 1_000;
/** Whoever sends byte by byte is never silent. */
const wholeAnswerMs = 20_000;
const lineType = "application/x-ndjson";
const maxAnswerCharacters = 64 * 1024 ** 2;

export function openAdminClient({ address, token, answerMs = wholeAnswerMs }: AdminClientOptions): AdminClient {
  const base = baseOf(address);
  const { host } = base;
  const failure = (status: number, sentence: string): CommandError =>
    new CommandError(exitCodeOf(status), failureText(status, sentence, host, token !== undefined));
  const open = async (asked: Asked, accept: string): Promise<IncomingMessage> => {
    const response = await send(asked, { base, token, accept, answerMs });
    const { statusCode = 0 } = response;
    if (statusCode < 400) return response;
    throw failure(statusCode, sentenceOf(parse(await textOf(response, host), host), statusCode));
  };
  return {
    host,
    failure,
    foreign: (cause) => foreign(host, cause),
    json: async (asked) => parse(await textOf(await open(asked, "application/json"), host), host),
    lines: async function* (asked) {
      const response = await open(asked, lineType);
      response.setTimeout(0);
      let rest = "";
      try {
        for await (const chunk of response.setEncoding("utf8")) {
          const parts = (rest + String(chunk)).split("\n");
          rest = parts.pop() ?? "";
          for (const part of parts) yield parse(part, host);
        }
      } catch (error) {
        throw asked.signal?.aborted === true || error instanceof CommandError ? error : broken(host, error);
      } finally {
        response.destroy();
      }
    },
  };
}

function baseOf(address: string): URL {
  const text = address.includes("://") ? address : `http://${address}`;
  if (URL.canParse(text) && /^https?:/.test(text)) {
    const base = new URL(text);
    if (base.username === "" && base.password === "") return base;
  }
  throw misuse("the address of the admin API is not one; expected HOST:PORT, such as 127.0.0.1:34999");
}

interface Sending {
  readonly base: URL;
  readonly token: string | undefined;
  readonly accept: string;
  readonly answerMs: number;
}

/** Resolves when the head of the answer is there; an upload may still be under way then. */
async function send(asked: Asked, { base, token, accept, answerMs }: Sending): Promise<IncomingMessage> {
  const { method = "GET", path, body, upload, signal } = asked;
  const request = base.protocol === "https:" ? (await import("node:https")).request : httpRequest;
  const text = body === undefined ? undefined : JSON.stringify(body);
  const options: RequestOptions = {
    method,
    agent: false,
    headers: {
      accept,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(text !== undefined && { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
      ...(upload !== undefined && { "content-type": "application/wasm", expect: "100-continue" }),
      ...(upload?.bytes !== undefined && { "content-length": upload.bytes }),
    },
    ...(signal !== undefined && { signal }),
  };
  return new Promise((resolve, reject) => {
    let response: IncomingMessage | undefined;
    let cause: unknown;
    const sent = request(new URL(path, base), options);
    sent.setTimeout(method === "GET" ? silentMs : silentChangeMs, () => {
      sent.destroy(new CommandError(exitCodes.failed, `the sidecar at ${base.host} does not answer`));
    });
    let deadline: NodeJS.Timeout | undefined;
    let hasLines = false;
    const startDeadline = (): void => {
      if (hasLines) return;
      deadline ??= setTimeout(() => {
        const late = new CommandError(
          exitCodes.failed,
          `the sidecar at ${base.host} does not bring its answer to an end within ${answerMs / 1_000}s`,
        );
        (response ?? sent).destroy(late);
      }, answerMs);
    };
    // What a change takes before its answer begins is the sidecar's affair.
    if (method === "GET") startDeadline();
    else if (upload === undefined) sent.once("socket", (socket) => socket.once("data", startDeadline));
    sent.once("close", () => clearTimeout(deadline));
    sent.once("response", (answer) => {
      response = answer;
      hasLines = accept === lineType && (answer.statusCode ?? 0) < 400;
      if (hasLines) clearTimeout(deadline);
      resolve(answer);
    });
    // Once there is an answer, an upload that was not taken to its end is no failure of its own.
    sent.on("error", (error) => {
      if (response === undefined) reject(failureOf(cause ?? error, base.host, signal));
    });
    if (upload === undefined) {
      sent.end(text);
      return;
    }
    let hasBegun = false;
    const begin = (): void => {
      if (hasBegun || response !== undefined) return;
      hasBegun = true;
      pipeline(upload.stream, sent).catch((error: unknown) => {
        cause = isOfSocket(error) ? undefined : error;
        if (response === undefined) reject(failureOf(error, base.host, signal));
        else if (cause !== undefined) response.destroy(error as Error);
      });
    };
    sent.once("continue", begin);
    const timer = setTimeout(begin, continueMs);
    sent.once("close", () => clearTimeout(timer));
    sent.flushHeaders();
  });
}

const isOfSocket = (error: unknown): boolean =>
  ["EPIPE", "ECONNRESET", "ERR_STREAM_PREMATURE_CLOSE", "ERR_STREAM_DESTROYED"].includes(codeOf(error) ?? "");

function failureOf(error: unknown, host: string, signal: AbortSignal | undefined): unknown {
  if (error instanceof CommandError || signal?.aborted === true) return error;
  const code = codeOf(error) ?? "";
  if (["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"].includes(code)) {
    const message = `no sidecar answers at ${host}; start one, or name its admin address with --admin or OUTRIGGER_ADMIN`;
    return new CommandError(exitCodes.failed, message, { cause: error });
  }
  return isOfSocket(error) || code.startsWith("HPE_") ? broken(host, error) : error;
}

const broken = (host: string, cause: unknown): CommandError =>
  new CommandError(exitCodes.failed, `the connection to the sidecar at ${host} broke before its answer was there`, {
    cause,
  });

async function textOf(response: IncomingMessage, host: string): Promise<string> {
  let text = "";
  try {
    for await (const chunk of response.setEncoding("utf8")) {
      text += String(chunk);
      if (text.length > maxAnswerCharacters) throw new CommandError(exitCodes.failed, `${host} answers too much`);
    }
  } catch (error) {
    throw error instanceof CommandError ? error : broken(host, error);
  }
  return text;
}

function parse(text: string, host: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw foreign(host, cause);
  }
}

function foreign(host: string, cause: unknown): CommandError {
  const message = `what answers at ${host} is not the admin API of a sidecar; name its address with --admin or OUTRIGGER_ADMIN`;
  return new CommandError(exitCodes.failed, message, { cause });
}

function sentenceOf(body: unknown, status: number): string {
  const isSentence = typeof body === "object" && body !== null && "error" in body && typeof body.error === "string";
  return isSentence ? String(body.error) : `it answers ${status}`;
}

function exitCodeOf(status: number): ExitCode {
  if (status === 422 || status === 413) return exitCodes.refused;
  return [400, 401, 403, 415, 431].includes(status) ? exitCodes.usage : exitCodes.failed;
}

const tokenSettings = "admin.token or one of admin.tokens in its configuration";

function failureText(status: number, sentence: string, host: string, hasToken: boolean): string {
  if (status === 401) {
    return hasToken
      ? `the sidecar at ${host} does not know the token that was given; expected ${tokenSettings}`
      : `the sidecar at ${host} wants a token, ${tokenSettings}; give it in OUTRIGGER_ADMIN_TOKEN or with --token-file`;
  }
  if (status === 403) return `the sidecar at ${host} refuses this: ${sentence}`;
  if (status === 431)
    return `the manifest is too long to be sent beside its module; put it inside with 'outrigger pack'`;
  return sentence;
}
