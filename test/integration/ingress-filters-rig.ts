/** Filters in front of a server that echoes. */
import assert from "node:assert/strict";
import type { Direction, LocalReply, StreamHost } from "../../runtime/plugin/contract.ts";
import { type OpenFilter, openRig, Plugins, type Rig, serveEcho } from "./ingress-rig.ts";

export const text = (body: Uint8Array) => Buffer.from(body).toString("latin1");
export const bytes = (body: string) => Buffer.from(body, "latin1");
export const reply = (status: number, body = "", headers: [string, string][] = []): LocalReply => ({
  status,
  details: "test_reply",
  headers,
  body: bytes(body),
});

export function bodyOf(host: StreamHost, direction: Direction): string {
  const body = host.body(direction);
  return body === undefined ? "none" : text(body.read(0, body.length));
}

/** Filters in the order of the request in front of a server that echoes. */
export async function withFilters(
  filters: Record<string, OpenFilter>,
  test: (rig: Rig, plugins: Plugins) => Promise<void>,
  ingress: object = {},
): Promise<void> {
  const plugins = new Plugins();
  for (const [name, open] of Object.entries(filters)) plugins.add(name, open);
  await using backend = await serveEcho();
  await using rig = await openRig({
    ingress: {
      routes: [{ match: { prefix: "/" }, filters: Object.keys(filters), to: { upstream: "backend" } }],
      ...ingress,
    },
    upstreams: { backend: { endpoints: [backend.address] } },
    plugins,
  });
  await test(rig, plugins);
  await rig.record();
  assert.equal(plugins.ended, plugins.opened, "every stream that was opened has ended once");
}

export function tracing(name: string, trace: string[]): OpenFilter {
  return () => ({
    requestHeaders: (end) => note(trace, `${name} request headers${end ? " end" : ""}`),
    requestBody: (end) => note(trace, `${name} request body${end ? " end" : ""}`),
    responseHeaders: (end) => note(trace, `${name} response headers${end ? " end" : ""}`),
    responseBody: (end) => note(trace, `${name} response body${end ? " end" : ""}`),
    end: () => {
      trace.push(`${name} end`);
    },
  });
}

export function note(trace: string[], what: string): "continue" {
  trace.push(what);
  return "continue";
}
