/** What the tests of rollouts share: guests that say which version they are, and clients that never stop asking. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { stringify } from "yaml";
import { makeArtifact, type PluginArtifact } from "../../runtime/plugin/artifact.ts";
import type { PluginRegistryOptions } from "../../runtime/plugin/registry.ts";
import type { PluginStatus } from "../../runtime/plugin/status.ts";
import { proxyWasmEngine } from "../../runtime/proxy-wasm/engine.ts";
import { openRegistry } from "../support/plugin-registry.ts";
import { drop, guestText } from "../support/proxy-wasm-guest.ts";
import { assemble } from "../support/wat.ts";
import { type Answer, collect, openRig, serve } from "./ingress-rig.ts";

/** What a guest does to every request of so many, in place of letting it pass. */
export interface Misbehaviour {
  readonly every: number;
  readonly does: "answers 500" | "traps" | "holds";
}

/** A filter that names its version in every response; it may refuse its configuration (7 bytes), or misbehave. */
export const versionGuest = (
  version: string,
  bad?: Misbehaviour,
  accepts = "(i32.ne (local.get $size) (i32.const 7))",
): Promise<Uint8Array<ArrayBuffer>> =>
  assemble(
    `rollout-${version}-${bad?.does ?? "good"}-${bad?.every ?? 0}`,
    guestText((text) => ({
      fields: "(global $requests (mut i32) (i32.const 0))",
      on: {
        proxy_on_configure: accepts,
        proxy_on_request_headers: `
          (global.set $requests (i32.add (global.get $requests) (i32.const 1)))
          ${bad === undefined ? "" : misbehaves(bad, text)}
          (i32.const 0)`,
        proxy_on_response_headers: `
          ${drop(`(call $proxy_add_header_map_value (i32.const 2) ${text("x-version")} ${text(version)})`)}
          (i32.const 0)`,
      },
    })),
  );

function misbehaves({ every, does }: Misbehaviour, text: (value: string) => string): string {
  const reply = drop(
    `(call $proxy_send_local_response (i32.const 500) ${text("broken")} ${text("broken")} (i32.const 0) (i32.const 0) (i32.const -1))`,
  );
  const then = {
    traps: "(unreachable)",
    holds: "(return (i32.const 1))",
    "answers 500": `${reply} (return (i32.const 1))`,
  }[does];
  return `(if (i32.eqz (i32.rem_u (global.get $requests) (i32.const ${every}))) (then ${then}))`;
}

export const artifactOf = (
  bytes: Uint8Array<ArrayBuffer>,
  version: string,
  manifest: Readonly<Record<string, unknown>> = {},
): PluginArtifact =>
  makeArtifact(bytes, "guest.wasm", { text: stringify({ name: "guest", version, ...manifest }), path: "guest.yaml" });

/** A request that the upstream does not answer before it is told to. */
export interface RequestInFlight {
  /** Lets the upstream answer; resolves to the version that the answer passed. */
  finish(): Promise<string>;
}

/** An ingress with the filter `guest` before an upstream, and a registry to deploy it to. */
export async function openRollout(options: Partial<PluginRegistryOptions> = {}) {
  await using opening = new AsyncDisposableStack();
  const waiting: http.ServerResponse[] = [];
  let arrived = Promise.withResolvers<void>();
  const backend = opening.use(
    await serve((request, response) => {
      if (request.url !== "/slow") {
        response.end("fine");
        return;
      }
      waiting.push(response);
      arrived.resolve();
      arrived = Promise.withResolvers<void>();
    }),
  );
  const open = opening.use(openRegistry({ engines: [proxyWasmEngine()], ...options }));
  const rig = opening.use(
    await openRig({
      ingress: { routes: [{ match: { prefix: "/" }, to: { upstream: "backend" }, filters: ["guest"] }] },
      upstreams: { backend: { endpoints: [backend.address], protocol: "http" } },
      source: open.registry,
    }),
  );
  const agent = new http.Agent({ keepAlive: true });
  opening.defer(() => agent.destroy());
  const get = (headers: http.OutgoingHttpHeaders = {}): Promise<Answer> => rig.send({ path: "/", agent, headers });
  const status = (): PluginStatus =>
    open.registry.list().find(({ name }) => name === "guest") ?? assert.fail("it is not deployed");
  const owned = opening.move();
  return {
    ...open,
    rig,
    status,
    get,
    /** The version that serves a request with those headers. */
    versionFor: async (headers: http.OutgoingHttpHeaders = {}): Promise<string> => {
      const answer = await get(headers);
      assert.equal(answer.status, 200);
      return String(answer.headers["x-version"]);
    },
    /** Asks, several at a time, until the condition holds; resolves to the answers. */
    askUntil: async (condition: (status: PluginStatus) => boolean): Promise<Answer[]> => {
      const answers: Answer[] = [];
      const client = async (): Promise<void> => {
        while (!condition(status())) answers.push(await get());
      };
      await Promise.all([client(), client(), client(), client()]);
      return answers;
    },
    inFlight: async (headers: http.OutgoingHttpHeaders = {}): Promise<RequestInFlight> => {
      const comes = arrived.promise;
      const request = http.request({ host: "127.0.0.1", port: rig.port, path: "/slow", agent: false, headers }).end();
      const answer = once(request, "response").then(([response]) => collect(response as http.IncomingMessage));
      await comes;
      const response = waiting.pop();
      return {
        finish: async () => {
          response?.end("late");
          const { status, headers: got } = await answer;
          assert.equal(status, 200);
          return String(got["x-version"]);
        },
      };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A filter that counts its ticks in the metric `ticks_VERSION`, and holds requests with `x-batch` until the next one. */
export const tickingGuest = (version: string, everyMs: number): Promise<Uint8Array<ArrayBuffer>> =>
  assemble(
    `ticking-${version}`,
    guestText((text) => ({
      fields: "(global $held (mut i32) (i32.const 0)) (global $metric (mut i32) (i32.const 0))",
      on: {
        proxy_on_configure: `
          ${drop(`(call $proxy_define_metric (i32.const 0) ${text(`ticks_${version}`)} (i32.const 8))`)}
          (global.set $metric (i32.load (i32.const 8)))
          ${drop(`(call $proxy_set_tick_period_milliseconds (i32.const ${everyMs}))`)}
          (i32.const 1)`,
        proxy_on_tick: `
          ${drop("(call $proxy_increment_metric (global.get $metric) (i64.const 1))")}
          (if (global.get $held) (then
            ${drop("(call $proxy_set_effective_context (global.get $held))")}
            (global.set $held (i32.const 0))
            ${drop("(call $proxy_continue_stream (i32.const 0))")}))`,
        proxy_on_request_headers: `
          (if (i32.eqz (call $proxy_get_header_map_value (i32.const 0) ${text("x-batch")} (i32.const 0) (i32.const 4)))
            (then (global.set $held (local.get $id)) (return (i32.const 1))))
          (i32.const 0)`,
        proxy_on_response_headers: `
          ${drop(`(call $proxy_add_header_map_value (i32.const 2) ${text("x-version")} ${text(version)})`)}
          (i32.const 0)`,
      },
    })),
  );
