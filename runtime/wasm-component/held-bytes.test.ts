import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ComponentHost } from "../../test/support/component-host.ts";
import { Fields } from "./http/fields.ts";
import { BodyFeed } from "./http/incoming-body.ts";
import { IncomingResponse } from "./http/incoming-response.ts";
import { OutgoingBody } from "./http/outgoing-body.ts";
import { OutgoingRequest } from "./http/outgoing-request.ts";
import { OutgoingResponse } from "./http/outgoing-response.ts";
import { OutgoingValue } from "./standard/blob-outgoing.ts";

const together = /the host keep more than 67108864 bytes together/;
const source = { wantsMore: () => undefined, unwanted: () => undefined };

/** Each makes something on the host's side that takes some memory, and says how it is let go. */
const ways: Readonly<Record<string, (host: ComponentHost) => () => void>> = {
  "the path of a request": (host) => {
    const request = new OutgoingRequest(host, new Fields(host));
    request.setPathWithQuery(`/${"p".repeat(16_000)}`);
    return () => request[Symbol.dispose]();
  },
  "a request that is sent": (host) => {
    const request = new OutgoingRequest(host, new Fields(host));
    request.setPathWithQuery(`/${"p".repeat(16_000)}`);
    request.setPathWithQuery(`/${"q".repeat(16_000)}`);
    return () => void request.message();
  },
  "a message whose head was looked at": (host) => {
    const received = Fields.received(host, [["x-large", "x".repeat(60_000)]]);
    const response = new OutgoingResponse(host, received);
    response.headers()[Symbol.dispose]();
    return () => response[Symbol.dispose]();
  },
  "a body whose message is not sent": (host) => {
    const request = new OutgoingRequest(host, new Fields(host));
    const body = request.body();
    body.write().write(new Uint8Array(60_000));
    OutgoingBody.finish(body, undefined);
    return () => request[Symbol.dispose]();
  },
  "a body that is given up": (host) => {
    const body = new OutgoingResponse(host, new Fields(host)).body();
    body.write().write(new Uint8Array(60_000));
    return () => body[Symbol.dispose]();
  },
  "a body that is finished after its message was let go": (host) => {
    const response = new OutgoingResponse(host, new Fields(host));
    const body = response.body();
    const stream = body.write();
    stream.write(new Uint8Array(20_000));
    return () => {
      response[Symbol.dispose]();
      stream.write(new Uint8Array(40_000));
      OutgoingBody.finish(body, undefined);
    };
  },
  "a whole body that nobody takes any more": (host) => {
    const body = new OutgoingBody(host, "response", undefined);
    body.write().write(new Uint8Array(60_000));
    OutgoingBody.finish(body, undefined);
    return () => body.flow.close();
  },
  "a body that goes on its way": (host) => {
    const { flow } = new OutgoingBody(host, "response", undefined);
    flow.write(new Uint8Array(60_000));
    const sent = { data: () => undefined, trailers: () => undefined, broken: () => undefined };
    return () => flow.attach(sent);
  },
  "a value that is not put anywhere": (host) => {
    const value = new OutgoingValue(host);
    value.outgoingValueWriteBody().write(new Uint8Array(60_000));
    return () => value[Symbol.dispose]();
  },
  "the head of a response": (host) => {
    const response = new IncomingResponse(host, [["x-large", "x".repeat(60_000)]], new BodyFeed(source));
    new OutgoingRequest(host, new Fields(host)).setAuthority("people");
    return () => response[Symbol.dispose]();
  },
};

describe("what the host keeps for a guest", () => {
  for (const [what, make] of Object.entries(ways)) {
    it(`has its bounds: ${what}`, () => {
      const patient = new ComponentHost();
      for (let made = 0; made < 5_000; made++) make(patient)();
      const greedy = new ComponentHost();
      assert.throws(() => {
        for (let made = 0; made < 5_000; made++) make(greedy);
      }, together);
    });
  }

  it("is let go when a list of fields is refused in its middle", () => {
    const host = new ComponentHost();
    const large = ["x-large", Buffer.alloc(60_000, "x")] as const;
    for (let made = 0; made < 5_000; made++)
      assert.throws(() => Fields.fromList(host, [large, ["no name", Buffer.of()]]), { tag: "invalid-syntax" });
  });

  it("is let go when the store fails after all of a value was written", async () => {
    const host = new ComponentHost();
    for (let made = 0; made < 2_000; made++) {
      const value = new OutgoingValue(host);
      value.outgoingValueWriteBody().write(new Uint8Array(60_000));
      const store = Promise.withResolvers<void>();
      value.putBy(() => store.promise);
      const finished = OutgoingValue.finish(value);
      store.reject(new Error("the store is gone"));
      await assert.rejects(finished);
      host.end();
    }
  });
});
