import type { PropertyValue } from "../plugin/contract.ts";
import { inside } from "./exchange.ts";
import type { HeaderList } from "./headers.ts";
import { declaredLength } from "./outlet.ts";
import { bytesOf, hostPort, responseCode, type Stream } from "./stream.ts";

/** Envoy's numbers for traffic that comes to the application, and for what leaves for an upstream. */
const [inboundTraffic, outboundTraffic] = [1n, 2n];

/**
 * An attribute of a stream by its path, as Envoy names and types them: sizes, ports and codes are integers, times and
 * durations integers of nanoseconds, maps of headers pairs. What a filter kept is found under its own path, and under
 * `filter_state`, `wasm.NAME`. The list is docs/reference/proxy-wasm-properties.md.
 */
export function attributeOf(stream: Stream, path: readonly string[]): PropertyValue | undefined {
  const [root = "", key, field] = path;
  // Nobody can keep something there, so that a plugin may trust it.
  if (root === "outrigger") return key === "origin" && stream.connection === inside ? "sidecar" : undefined;
  return known(stream, root, key, field) ?? stream.kept(path) ?? filterState(stream, path);
}

function known(stream: Stream, root: string, key: string | undefined, field: string | undefined) {
  switch (root) {
    case "request":
      return key === undefined ? undefined : requestAttribute(stream, key, field);
    case "response":
      return key === undefined ? undefined : responseAttribute(stream, key, field);
    case "connection":
      if (stream.connection.isOutbound) return undefined;
      if (key === "id") return BigInt(stream.connection.id);
      return key === "mtls" ? false : undefined;
    case "source":
      return endpoint(stream.connection.remoteAddress, stream.connection.remotePort, key);
    case "destination":
      return endpoint(stream.connection.localAddress, stream.connection.localPort, key);
    case "upstream":
      return upstreamAttribute(stream, key);
    case "xds":
      return key === undefined ? undefined : configured(stream, key);
    default:
      return key === undefined ? configured(stream, root) : undefined;
  }
}

/** What comes of the configuration; `xds` holds it, too. */
function configured(stream: Stream, name: string): PropertyValue | undefined {
  switch (name) {
    case "cluster_name":
      return stream.upstream?.upstream;
    case "route_name":
      return stream.route;
    case "listener_direction":
      return stream.connection.isOutbound ? outboundTraffic : inboundTraffic;
    default:
      return undefined;
  }
}

function requestAttribute(stream: Stream, key: string, field: string | undefined): PropertyValue | undefined {
  const { request } = stream;
  const path = request.get(":path");
  const query = path?.indexOf("?") ?? -1;
  switch (key) {
    case "path":
      return path;
    case "url_path":
      return query < 0 ? path : path?.slice(0, query);
    case "query":
      return query < 0 ? "" : path?.slice(query + 1);
    case "host":
      return request.get(":authority");
    case "scheme":
      return request.get(":scheme");
    case "method":
      return request.get(":method");
    case "headers":
      return fields(request, field);
    case "referer":
      return request.get("referer");
    case "useragent":
      return request.get("user-agent");
    case "id":
      return request.get("x-request-id");
    case "protocol":
      return stream.connection.protocol;
    case "time":
      return BigInt(stream.startedAtMs) * 1_000_000n;
    case "duration":
      return nanoseconds(stream.elapsedMs);
    case "size":
      return BigInt(declaredLength(request) ?? stream.bytesReceived);
    case "total_size":
      return BigInt(stream.bytesReceived + stream.requestHeadBytes + bytesOf(stream.requestTrailers));
    default:
      return undefined;
  }
}

function responseAttribute(stream: Stream, key: string, field: string | undefined): PropertyValue | undefined {
  const { response } = stream;
  const code = responseCode(stream);
  switch (key) {
    case "code":
      return code === 0 ? undefined : BigInt(code);
    case "code_details":
      return stream.details === "" ? undefined : stream.details;
    case "flags":
      return stream.flagBits;
    case "grpc_status": {
      const text = stream.responseTrailers?.get("grpc-status") ?? response?.get("grpc-status") ?? "";
      return /^\d{1,3}$/.test(text) ? BigInt(text) : undefined;
    }
    case "headers":
      return response === undefined ? undefined : fields(response, field);
    case "trailers":
      return stream.responseTrailers === undefined ? undefined : fields(stream.responseTrailers, field);
    case "size":
      return BigInt(stream.bytesSent);
    case "total_size":
      return BigInt(stream.bytesSent + bytesOf(response) + bytesOf(stream.responseTrailers));
    default:
      return undefined;
  }
}

function upstreamAttribute(stream: Stream, key: string | undefined): PropertyValue | undefined {
  const facts = stream.upstream;
  switch (key) {
    case "address":
      return facts?.endpoint;
    case "port":
      return portOf(facts?.endpoint);
    case "local_address":
      return facts?.localAddress;
    case "local_port":
      return portOf(facts?.localAddress);
    default:
      return undefined;
  }
}

/** Of `address:port`; the path of a Unix socket has none. */
function portOf(address: string | undefined): bigint | undefined {
  const [, port] = /:(\d{1,5})$/.exec(address ?? "") ?? [];
  return port === undefined ? undefined : BigInt(port);
}

function endpoint(address: string, port: number, key: string | undefined): PropertyValue | undefined {
  if (address === "") return undefined;
  if (key === "address") return hostPort(address, port);
  return key === "port" ? BigInt(port) : undefined;
}

function fields(headers: HeaderList, name: string | undefined): PropertyValue | undefined {
  return name === undefined ? headers.entries() : headers.get(name);
}

function nanoseconds(milliseconds: number): bigint {
  return BigInt(Math.round(milliseconds * 1000)) * 1000n;
}

function filterState(stream: Stream, path: readonly string[]): Uint8Array | undefined {
  const [root, key, ...rest] = path;
  if (root !== "filter_state" || key === undefined || !key.startsWith("wasm.")) return undefined;
  return stream.kept([key.slice("wasm.".length), ...rest]);
}
