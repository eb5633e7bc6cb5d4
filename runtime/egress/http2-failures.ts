import { errorCode } from "../http2/error-code.ts";
import type { StreamFault } from "../http2/stream-contract.ts";
import type { Failure } from "../proxy/exchange.ts";

/** What a client is told when a request to an HTTP/2 upstream ended without a whole response. */
export function upstreamFailure(upstream: string, { origin, code }: StreamFault): Failure {
  const name = `upstream '${upstream}'`;
  switch (origin) {
    case "connect":
      return { status: 503, details: "upstream_connect_failure", message: `cannot connect to ${name}`, flag: "UF" };
    case "connection":
      return {
        status: 503,
        details: "upstream_reset",
        message: `${name} closed the connection before it answered`,
        flag: "UC",
      };
    case "protocol":
      return {
        status: 502,
        details: "upstream_protocol_error",
        message: `${name} broke the rules of HTTP/2`,
        flag: "UC",
      };
    case "peer":
      return {
        status: code === errorCode.ENHANCE_YOUR_CALM ? 429 : 503,
        details: `upstream_reset{${nameOf(code)}}`,
        message: `${name} reset the request before it answered`,
        flag: "UR",
      };
  }
}

export function noEndpoint(upstream: string): Failure {
  return {
    status: 503,
    details: "no_healthy_upstream",
    message: `upstream '${upstream}' has no endpoints`,
    flag: "UH",
  };
}

const names = new Map<number, string>(Object.entries(errorCode).map(([name, code]) => [code, name]));

const nameOf = (code: number): string => names.get(code) ?? String(code);
