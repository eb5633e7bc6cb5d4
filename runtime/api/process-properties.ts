import type { PropertyValue } from "../plugin/contract.ts";
import { version } from "../version.ts";

/** Envoy's number for traffic that comes to the application, which is all that plugins serve. */
const inbound = 1n;

/** A property that does not depend on a stream, as Envoy names it. The list is docs/reference/proxy-wasm-properties.md. */
export function processProperty(appId: string, path: readonly string[]): PropertyValue | undefined {
  switch (path.join(".")) {
    case "node.id":
    case "node.cluster":
      return appId;
    case "node.user_agent_name":
      return "outrigger";
    case "node.user_agent_version":
      return version;
    case "listener_direction":
    case "xds.listener_direction":
      return inbound;
    default:
      return undefined;
  }
}
