import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ToyRequest } from "../../../test/support/toy-engine.ts";
import type { AnswerSource } from "../answer.ts";
import type { Caller, FilterAction, HeaderMap, LocalReply, StreamHost, StreamMap } from "../contract.ts";
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

/** It takes answers that are given piece by piece. */
const taking = (): ToyRequest => {
  const [head, data, trailers, reset, giveUp] = Array.from({ length: 5 }, () => () => {});
  return Object.assign(answered({}), { answer: () => ({ head, data, trailers, reset, giveUp }) });
};
const source: AnswerSource = { pause: () => {}, resume: () => {}, reset: () => {} };

type Steps = Partial<Record<"request" | "response", readonly (readonly [action: FilterAction, end: boolean])[]>>;

/** Runs a stream on a guest that ends the callbacks of each message so; the first is that of the head. */
function holding(steps: Steps, then: (host: StreamHost) => void = () => {}): boolean {
  const answers = [...(steps.request ?? []), ...(steps.response ?? [])].map(([action]) => action);
  const answer = (): FilterAction => answers.shift() ?? "continue";
  let seen: StreamHost = answered({});
  let hasFailed = false;
  const filter = MeasuredStream.open(
    {
      open: (given) => {
        seen = given;
        const [requestHeaders, requestBody, requestTrailers] = [answer, answer, answer];
        const [responseHeaders, responseBody, responseTrailers] = [answer, answer, answer];
        const message = { requestHeaders, requestBody, requestTrailers };
        return { ...message, responseHeaders, responseBody, responseTrailers, end: () => {} };
      },
    },
    seen,
    (outcome) => {
      hasFailed = outcome === "failed";
    },
  );
  for (const [at, [, end]] of steps.request?.entries() ?? []) {
    if (at === 0) filter.requestHeaders(end);
    else filter.requestBody(end);
  }
  for (const [at, [, end]] of steps.response?.entries() ?? []) {
    if (at === 0) filter.responseHeaders(end);
    else filter.responseBody(end);
  }
  then(seen);
  filter.end();
  return hasFailed;
}

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
    (outcome, ms) => {
      assert.ok(ms !== undefined && ms >= 0);
      told.push(outcome === "failed");
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
    ["that the guest breaks off", taking(), (host) => host.answer(source)?.reset("it is short"), true],
    ["that is given up since its client is slow", taking(), (host) => host.answer(source)?.giveUp("too late"), false],
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

describe("a stream that ends before it was answered", () => {
  const cases: readonly (readonly [what: string, Steps, (host: StreamHost) => void, failed: boolean])[] = [
    ["the guest holds the head", { request: [["pause", false]] }, () => {}, true],
    ["the guest takes in a request that it never lets go", { request: [["buffer", false]] }, () => {}, true],
    ["the guest waits for the host", { request: [["suspended", true]] }, () => {}, true],
    ["the guest holds a head that is all", { request: [["hold", true]] }, () => {}, true],
    [
      "the guest holds the whole request",
      {
        request: [
          ["hold", false],
          ["pause", true],
        ],
      },
      () => {},
      true,
    ],
    [
      "the guest holds the response's head",
      { request: [["continue", true]], response: [["pause", false]] },
      () => {},
      true,
    ],
    ["the host settled that it holds", { request: [["suspended", true]] }, (host) => host.settle("pause"), true],
    [
      "the client had not sent all that the guest waits for",
      {
        request: [
          ["hold", false],
          ["pause", false],
        ],
      },
      () => {},
      false,
    ],
    [
      "the upstream had not sent all that the guest waits for",
      { request: [["continue", true]], response: [["hold", false]] },
      () => {},
      false,
    ],
    ["the upstream was waited for", { request: [["continue", true]] }, () => {}, false],
    ["the guest had resumed it", { request: [["pause", true]] }, (host) => host.resume("request"), false],
    ["the host settled that it goes on", { request: [["suspended", true]] }, (host) => host.settle("continue"), false],
    ["the guest had answered", { request: [["pause", true]] }, (host) => host.respond(reply), false],
    [
      "the upstream answered early",
      {
        request: [
          ["hold", false],
          ["pause", true],
        ],
        response: [["continue", false]],
      },
      () => {},
      false,
    ],
  ];
  for (const [what, steps, then, failed] of cases) {
    it(`has ${failed ? "" : "not "}failed when ${what}`, () => {
      assert.equal(holding(steps, then), failed);
    });
  }

  it("shows the guest who made the request", () => {
    const caller: Caller = { plugin: "first", caller: undefined };
    const failure = new PluginError("second", "1.0.0", "closed", "it was asked for no more");
    let seen: Caller | undefined;
    const pool = {
      open: (host: StreamHost) => {
        seen = host.caller;
        throw failure;
      },
    };
    assert.throws(() => MeasuredStream.open(pool, Object.assign(new ToyRequest(0), { caller }), () => {}), failure);
    assert.equal(seen, caller);
  });
});
