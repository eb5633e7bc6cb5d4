import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ComponentHost } from "../../../test/support/component-host.ts";
import { Fields } from "./fields.ts";
import { OutgoingRequest } from "./outgoing-request.ts";
import { OutgoingResponse } from "./outgoing-response.ts";

const large = new Uint8Array(200 * 1024).fill(97);
const together = /more than 67108864 bytes together/;

/** One list of fields after the other, more than a guest may hold at once. */
function makeMany(host: ComponentHost, use: (fields: Fields) => void): void {
  for (let made = 0; made < 400; made++) use(Fields.fromList(host, [["x-large", large]]));
}

describe("the lists of fields of one guest", () => {
  it("may not hold more than it may together, not even by views of what was sent", () => {
    const held: unknown[] = [];
    assert.throws(() => makeMany(new ComponentHost(), (fields) => held.push(fields)), together);
    const host = new ComponentHost();
    assert.throws(
      () =>
        makeMany(host, (fields) => {
          const response = new OutgoingResponse(host, fields);
          held.push(response.headers());
          response.message();
        }),
      together,
    );
    const other = new ComponentHost();
    assert.throws(() => makeMany(other, (fields) => held.push(new OutgoingRequest(other, fields))), together);
  });

  it("are let go when they are dropped, sent, or dropped with their message", () => {
    const host = new ComponentHost();
    makeMany(host, (fields) => fields[Symbol.dispose]());
    makeMany(host, (fields) => new OutgoingResponse(host, fields).message());
    makeMany(host, (fields) => new OutgoingRequest(host, fields)[Symbol.dispose]());
    makeMany(host, (fields) => {
      fields.delete("x-large");
      fields[Symbol.dispose]();
    });
  });
});

describe("a list of fields", () => {
  it("is paid for as long as it is, by whatever looks through it", () => {
    const host = new ComponentHost();
    const given = Array.from({ length: 1_000 }, () => ["N".repeat(250), new Uint8Array(0)] as const);
    const fields = Fields.fromList(host, given);
    const looks: Readonly<Record<string, () => unknown>> = {
      has: () => fields.has("n".repeat(250)),
      get: () => fields.get("other"),
      entries: () => fields.entries(),
      clone: () => fields.clone(),
      delete: () => fields.delete("other"),
      set: () => fields.set("other", []),
    };
    for (const [name, look] of Object.entries(looks)) {
      const before = host.paid;
      look();
      assert.ok(host.paid - before > 150_000, `${name} takes a tenth of a millisecond`);
    }
  });
});
