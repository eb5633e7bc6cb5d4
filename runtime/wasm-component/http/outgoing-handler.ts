import { payForCall } from "../charge.ts";
import type { GuestHost, ImportedInterface } from "../provider.ts";
import type { ErrorCode } from "./error-code.ts";
import type { FutureIncomingResponse } from "./incoming-response.ts";
import { OutgoingCall } from "./outgoing-call.ts";
import type { OutgoingRequest, RequestOptions } from "./outgoing-request.ts";

/** Requests that one instance may have under way. */
const maxCalls = 128;

const denied: ErrorCode = { tag: "HTTP-request-denied" };
const tooMany: ErrorCode = { tag: "connection-limit-reached" };
const noTls: ErrorCode = { tag: "TLS-protocol-error" };

/** `wasi:http/outgoing-handler`: the authority of a request is the name of an upstream that the plugin was granted. */
export const outgoingHandler: ImportedInterface = {
  name: "wasi:http/outgoing-handler",
  versions: "0.2",
  waiting: [],
  make(host) {
    let calls = 0;
    const over = (): void => {
      calls--;
    };
    return {
      handle(request: OutgoingRequest, options: RequestOptions | undefined): FutureIncomingResponse {
        payForCall(host);
        const authority = request.authority() ?? "";
        const upstream = upstreamOf(host, authority);
        if (upstream === undefined) {
          host.log("warn", notGranted(host, authority));
          return refuse(request, denied);
        }
        const scheme = request.scheme()?.tag ?? "HTTP";
        if (scheme !== "HTTP") {
          host.log("warn", `a request to the upstream '${upstream}' was refused: its scheme is to be http`);
          return refuse(request, noTls);
        }
        if (calls >= maxCalls) return refuse(request, tooMany);
        calls++;
        return new OutgoingCall(host, upstream, request, options, over).future;
      },
    };
  },
};

/** The guest has handed the request over, and can let go of it no more. */
function refuse(request: OutgoingRequest, error: ErrorCode): never {
  request[Symbol.dispose]();
  throw error;
}

function notGranted({ program }: GuestHost, authority: string): string {
  const asked = JSON.stringify(authority.slice(0, 64));
  const right = `'capabilities.upstreams' of its manifest asks for one, and 'plugins.grants.${program.name}.upstreams' gives it`;
  return `a request to ${asked} was refused: it is no upstream that the plugin was granted; ${right}`;
}

/** The port that some clients add to the name says nothing. */
function upstreamOf({ services }: GuestHost, authority: string): string | undefined {
  const { http } = services.api;
  if (http.has(authority)) return authority;
  const name = authority.endsWith(":80") ? authority.slice(0, -3) : "";
  return name !== "" && http.has(name) ? name : undefined;
}
