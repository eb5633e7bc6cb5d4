/** Requests over HTTP for modules: bounded in size, in time and in redirects, and kept from private addresses. */
import http, { type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import https from "node:https";
import { isIP } from "node:net";
import { getCACertificates } from "node:tls";
import { codeOf } from "../../../components/thrown.ts";
import { version } from "../../version.ts";
import type { AddressGuard } from "./address-guard.ts";
import { SourceError } from "./source-error.ts";

/** What holds for all requests of one fetch. */
export interface Transport {
  /** Ends the fetch; its reason is told when it is a SourceError. */
  readonly signal: AbortSignal;
  /** The host that was named, as `host[:port]`: it may have any address, for whoever named it knows it. */
  readonly home: string;
  /** Hosts that are spoken to without TLS, as `host` or `host:port`; loopback always is. */
  readonly insecure: readonly string[];
  readonly guard: AddressGuard;
  /** Certificates to trust beside the usual ones (PEM). */
  readonly ca: string | undefined;
}

export interface Question {
  readonly url: URL;
  readonly accept?: string;
  readonly authorization?: string | undefined;
  /** A form to post. */
  readonly form?: URLSearchParams;
  /** The largest answer that is taken. */
  readonly maxBytes: number;
  /** Told of the bytes so far, and of how many there are when that is known. */
  readonly progress?: ((received: number, total: number | undefined) => void) | undefined;
}

export interface Answer {
  /** Who answered: another than was asked after a redirect. */
  readonly url: URL;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array<ArrayBuffer>;
}

const mostRedirects = 5;
const idleMs = 30_000;
const maxHeadBytes = 32 * 1024;
const maxFailureBytes = 64 * 1024;
const redirecting: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Asks, and follows redirects of what is no form. Credentials stay with the origin they are for. Throws SourceError. */
export async function ask(transport: Transport, question: Question): Promise<Answer> {
  let { url, authorization } = question;
  for (let redirects = 0; ; redirects++) {
    const answer = await askOnce(transport, { ...question, url, authorization });
    if (question.form !== undefined || !redirecting.has(answer.status)) return answer;
    if (redirects === mostRedirects) throw new SourceError(`${url.host} redirects more than ${mostRedirects} times`);
    const next = redirectOf(answer);
    if (next.origin !== url.origin) authorization = undefined;
    url = next;
  }
}

function redirectOf({ url, headers }: Answer): URL {
  const location = headers.location ?? "";
  if (location === "" || !URL.canParse(location, url.href)) {
    throw new SourceError(`${url.host} redirects without saying where to`);
  }
  const next = new URL(location, url);
  if (next.protocol !== "https:" && next.protocol !== "http:") {
    throw new SourceError(`${url.host} redirects to the scheme '${next.protocol.slice(0, -1)}'; expected https`);
  }
  next.username = "";
  next.password = "";
  return next;
}

async function askOnce(transport: Transport, question: Question): Promise<Answer> {
  const { url } = question;
  requireTls(transport, url);
  if (url.host !== transport.home) transport.guard.requireAllowed(url.hostname);
  try {
    const response = await respond(transport, question);
    const body = await readBody(response, question);
    return { url, status: response.statusCode ?? 0, headers: response.headers, body };
  } catch (error) {
    throw explained(error, transport, url);
  }
}

function requireTls({ insecure }: Transport, url: URL): void {
  if (url.protocol === "https:" || speaksPlain(url.host, insecure)) return;
  throw new SourceError(
    `${url.host} would be spoken to without TLS; use https, or name the host in plugins.sources.insecure`,
  );
}

/** Whether a host, as `host[:port]`, is spoken to without TLS: loopback, and those named. */
export function speaksPlain(host: string, insecure: readonly string[]): boolean {
  const { hostname } = new URL(`http://${host}`);
  const address = hostname.replace(/^\[|\]$/g, "");
  const isLoopback = address === "localhost" || address === "::1" || (isIP(address) === 4 && /^127\./.test(address));
  return isLoopback || insecure.some((one) => one.toLowerCase() === host || one.toLowerCase() === hostname);
}

function respond(transport: Transport, question: Question): Promise<IncomingMessage> {
  const { url, accept = "*/*", authorization, form } = question;
  const isHome = url.host === transport.home;
  const content = form?.toString();
  const options = {
    agent: false,
    method: form === undefined ? "GET" : "POST",
    headers: {
      "user-agent": `outrigger/${version}`,
      accept,
      // A body that is compressed on the way could be far larger than its length says.
      "accept-encoding": "identity",
      ...(authorization !== undefined && { authorization }),
      ...(content !== undefined && {
        "content-type": "application/x-www-form-urlencoded",
        "content-length": Buffer.byteLength(content),
      }),
    },
    maxHeaderSize: maxHeadBytes,
    signal: transport.signal,
    timeout: idleMs,
    ...(!isHome && { lookup: transport.guard.lookup }),
    ...(transport.ca !== undefined && { ca: [...getCACertificates("default"), transport.ca] }),
  };
  return new Promise((resolve, reject) => {
    const request = (url.protocol === "https:" ? https : http).request(url, options);
    let response: IncomingMessage | undefined;
    request.once("error", reject);
    request.once("response", (begun) => {
      response = begun;
      resolve(begun);
    });
    request.once("timeout", () => {
      const error = new SourceError(`${url.host} sent nothing for ${idleMs / 1_000}s`);
      response?.destroy(error);
      request.destroy(error);
    });
    request.end(content);
  });
}

async function readBody(response: IncomingMessage, question: Question): Promise<Uint8Array<ArrayBuffer>> {
  const { url, maxBytes, progress } = question;
  const isFailure = response.statusCode !== 200;
  const most = isFailure ? maxFailureBytes : maxBytes;
  const declared = response.headers["content-length"];
  const total = declared === undefined ? undefined : Number(declared);
  const tooLarge = (size: string): SourceError =>
    new SourceError(`${url.host} sends ${size} where at most ${most} bytes are taken`);
  try {
    if (total !== undefined && total > most) throw tooLarge(`${total} bytes`);
    const encoding = response.headers["content-encoding"] ?? "identity";
    if (!isFailure && encoding !== "identity") {
      throw new SourceError(`${url.host} compresses its answer (${shortened(encoding)}), which it was asked not to`);
    }
    const chunks: Buffer[] = [];
    let received = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      received += chunk.length;
      if (received > most) throw tooLarge("more");
      chunks.push(chunk);
      if (!isFailure) progress?.(received, total);
    }
    return new Uint8Array(Buffer.concat(chunks));
  } finally {
    response.destroy();
  }
}

const shortened = (text: string): string => text.replace(/[^ -~]/g, "?").slice(0, 40);

/** Errors of Node's as sentences; what they say beside their code may hold a URL with its query. */
function explained(error: unknown, { signal }: Transport, url: URL): unknown {
  if (error instanceof SourceError) return error;
  if (signal.aborted) return signal.reason;
  const code = codeOf(error) ?? "unknown error";
  if (code === "ECONNRESET") return new SourceError(`${url.host} closed the connection before its answer was complete`);
  if (code === "HPE_HEADER_OVERFLOW")
    return new SourceError(`${url.host} answers with a head above ${maxHeadBytes} bytes`);
  if (code.startsWith("HPE_")) return new SourceError(`${url.host} does not answer in HTTP (${code})`);
  return new SourceError(`${url.host} cannot be reached (${code})`, { cause: error });
}
