import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ToyRequest } from "../../../test/support/toy-engine.ts";
import type { FilterAction, HeaderMap, LocalReply, StreamHost, StreamMap } from "../contract.ts";
import { PluginError } from "../plugin-error.ts";
import { MeasuredStream } from "./measured-stream.ts";

const reply: LocalReply = { status: 200, details: "", headers: [], body: new Uint8Array() };
const answered = (maps: Partial<Record<StreamMap, Readonly<Record<string, string>>>>): ToyRequest =>
  Object.assign(new ToyRequest(0), {
    headers: (map: StreamMap): HeaderMap | undefined => {
      const fields = maps[map];
      return fields === undefined ? undefined : new ToyRequest(0, fields).headers();
    },
  });

/** Runs a stream on a guest that does that to its host; resolves to whether it counts as failed, each time it is told. */
function failures(host: ToyRequest, guest: (host: StreamHost) => void): boolean[] {
  const told: boolean[] = [];
  const goOn = (): FilterAction => "continue";
  let seen: StreamHost = host;
  const filter = MeasuredStream.open(
    {
      open: (given) => {
        seen = given;
        return {
          requestHeaders: goOn,
          requestBody: goOn,
          requestTrailers: goOn,
          responseHeaders: goOn,
          responseBody: goOn,
          responseTrailers: goOn,
          end: () => {},
        };
      },
    },
    host,
    (hasFailed, ms) => {
      assert.ok(ms !== undefined && ms >= 0);
      told.push(hasFailed);
    },
  );
  assert.equal(filter.requestHeaders(true), "continue");
  guest(seen);
  filter.end();
  return told;
}

describe("a stream that is measured", () => {
  const nothing = (): void => {};
  const trap = new PluginError("toy", "2", "trap", "it trapped");
  const cases: readonly (readonly [what: string, ToyRequest, (host: StreamHost) => void, failed: boolean])[] = [
    ["that is answered", answered({ "response-headers": { ":status": "404" } }), nothing, false],
    ["without an answer", answered({}), nothing, false],
    ["that an upstream fails", answered({ "response-headers": { ":status": "502" } }), nothing, true],
    ["that the guest refuses", answered({}), (host) => host.respond({ ...reply, status: 403 }), false],
    ["that the guest fails", answered({}), (host) => host.respond({ ...reply, status: 500 }), true],
    ["that the guest refuses over gRPC", answered({}), (host) => host.respond({ ...reply, grpcStatus: 7 }), false],
    ["that the guest fails over gRPC", answered({}), (host) => host.respond({ ...reply, grpcStatus: 13 }), true],
    ["that the guest resets", answered({}), (host) => host.reset(), true],
    ["that the guest breaks down in", answered({}), (host) => host.failed(trap), true],
    [
      "of a call that went well",
      answered({ "response-headers": { ":status": "200" }, "response-trailers": { "grpc-status": "0" } }),
      nothing,
      false,
    ],
    [
      "of a call that failed",
      answered({ "response-headers": { ":status": "200" }, "response-trailers": { "grpc-status": "14" } }),
      nothing,
      true,
    ],
    ["of a call without messages", answered({ "response-headers": { "grpc-status": "13" } }), nothing, true],
  ];
  for (const [what, host, guest, failed] of cases) {
    it(`one ${what} ${failed ? "has failed" : "has not failed"}, and is told of once`, () => {
      assert.deepEqual(failures(host, guest), [failed]);
    });
  }
});
