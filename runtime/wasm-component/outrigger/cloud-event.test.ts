import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { guestEvent } from "./cloud-event.ts";

const delivered = (envelope: object | string, contentType = "application/cloudevents+json; charset=utf-8") => {
  const text = typeof envelope === "string" ? envelope : JSON.stringify(envelope);
  const { data, ...event } = guestEvent({ pubsub: "events", topic: "orders", contentType, data: Buffer.from(text) });
  return { ...event, data: Buffer.from(data).toString() };
};
const bare = { id: "", pubsub: "events", topic: "orders", source: "", type: "", time: undefined, extensions: [] };

describe("an event for a guest", () => {
  it("comes without its envelope, other attributes beside it", () => {
    const time = "2026-01-02T03:04:05Z";
    const known = { specversion: "1.0", id: "1", source: "shop", type: "placed", time, topic: "x", pubsubname: "y" };
    assert.deepEqual(delivered({ ...known, subject: "s", priority: 3, datacontenttype: "text/plain", data: "hello" }), {
      id: "1",
      pubsub: "events",
      topic: "orders",
      source: "shop",
      type: "placed",
      contentType: "text/plain",
      data: "hello",
      time,
      extensions: [
        ["subject", "s"],
        ["priority", "3"],
      ],
    });
  });

  it("has data of JSON as JSON, of base64 as bytes, and none as none", () => {
    assert.equal(delivered({ data: { a: [1] } }).data, '{"a":[1]}');
    assert.equal(delivered({ data: "text", datacontenttype: "application/json" }).data, '"text"');
    assert.equal(delivered({ data_base64: "aGk=", datacontenttype: "image/png" }).data, "hi");
    assert.deepEqual(delivered({}), { ...bare, contentType: "application/json", data: "" });
  });

  it("is its bytes when it came raw, or its envelope is none", () => {
    assert.deepEqual(delivered("text", "text/plain"), { ...bare, contentType: "text/plain", data: "text" });
    for (const broken of ["{", "[1]", "null"])
      assert.deepEqual(delivered(broken), {
        ...bare,
        contentType: "application/cloudevents+json; charset=utf-8",
        data: broken,
      });
  });
});
