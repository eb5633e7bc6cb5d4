/** What the tests of an upstream's filters share. */
import { configurationSchema } from "../../runtime/config/schema.ts";
import type { Caller } from "../../runtime/plugin/contract.ts";
import type { HttpMessage } from "../../runtime/plugin/outside-calls.ts";
import { type Echoed, type OpenFilter, openRig, Plugins, serveEcho } from "./ingress-rig.ts";

export const never = new AbortController().signal;
export const routed = { routes: [{ match: { prefix: "/" }, to: { upstream: "backend" } }] };

/** `GET /`, made by the sidecar itself. */
export const question: HttpMessage = {
  headers: [
    [":method", "GET"],
    [":path", "/"],
    [":authority", "backend"],
  ],
  body: new Uint8Array(),
  trailers: [],
};
/** A plugin that asks, in the stream of a request of that other one. */
export const from = (plugin: string, caller?: Caller): Caller => ({ plugin, caller });

/** An ingress in front of a server that echoes, whose upstream has these filters in the order of the request. */
export async function withUpstreamFilters(
  filters: Record<string, OpenFilter>,
  more: { readonly upstream?: object; readonly ingress?: object; readonly others?: Record<string, OpenFilter> } = {},
) {
  await using opening = new AsyncDisposableStack();
  const plugins = new Plugins();
  for (const [name, open] of Object.entries({ ...filters, ...more.others })) plugins.add(name, open);
  const backend = opening.use(await serveEcho());
  const settings = { endpoints: [backend.address], filters: Object.keys(filters), ...more.upstream };
  const rig = opening.use(
    await openRig({ ingress: { ...routed, ...more.ingress }, upstreams: { backend: settings }, plugins }),
  );
  const owned = opening.move();
  return { rig, plugins, backend, settings, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** As the configuration file would have it. */
export const upstreamsOf = (backend: object) => configurationSchema.parse({ upstreams: { backend } }).upstreams;

/** Adds its name to the request. */
export const marking =
  (name: string): OpenFilter =>
  (host) => ({
    requestHeaders: () => {
      host.headers("request-headers")?.add("x-passed", name);
      return "continue";
    },
  });
/** The names that an echoed request carries. */
export const passed = (body: string): string[] => {
  const { rawHeaders } = JSON.parse(body) as Echoed;
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === "x-passed");
};
