import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cloudEventType, type TopicEvent, unwrapEvent, wrapEvent } from "./cloud-event.ts";

const source = { topic: "orders", pubsubName: "events", appId: "shop" };
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");
const wrap = (data: string | Uint8Array, contentType: string, metadata: Record<string, string> = {}): Uint8Array =>
  wrapEvent(Buffer.from(data), contentType, metadata, source);
const received = (data: Uint8Array, contentType = cloudEventType): TopicEvent =>
  unwrapEvent({ id: "broker-1", data, contentType, metadata: { key: "k" } }, source);
const through = (data: string | Uint8Array, contentType: string): TopicEvent => received(wrap(data, contentType));

describe("wrapping into a CloudEvent", () => {
  it("gives every attribute that CloudEvents 1.0 asks for, and where it was published", () => {
    const traced = { ...source, traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" };
    const event = JSON.parse(text(wrapEvent(Buffer.from("hello"), "text/plain", {}, traced)));
    assert.match(event.id, /^[0-9a-f-]{36}$/);
    assert.match(event.time, /^\d{4}-\d\d-\d\dT/);
    const { id: _, time: __, ...rest } = event;
    assert.deepEqual(rest, {
      specversion: "1.0",
      source: "shop",
      type: "outrigger.event.sent",
      datacontenttype: "text/plain",
      data: "hello",
      topic: "orders",
      pubsubname: "events",
      traceparent: traced.traceparent,
    });
  });

  it("keeps JSON to the letter, numbers beyond JavaScript's included", () => {
    for (const json of [
      '{"id": 12345678901234567890, "price": 1.10}',
      "[1,\n2]",
      '"text"',
      "null",
      " 9007199254740993 ",
    ]) {
      assert.equal(text(through(json, "application/json").data), json.trim());
    }
    assert.equal(
      text(through('{"n":10000000000000000001}', "application/vnd.shop+json").data),
      '{"n":10000000000000000001}',
    );
  });

  it("keeps bytes as they are, whatever they are said to be", () => {
    const bytes: [Uint8Array, string][] = [
      [new Uint8Array([0, 255, 128]), "image/png"],
      [new Uint8Array([0xe9, 0x74, 0xe9]), "text/plain; charset=iso-8859-1"],
      [new Uint8Array([0xef, 0xbb, 0xbf, 0x61]), "text/csv"],
      [Buffer.from("žluťoučký 🐎"), "text/plain"],
      [new Uint8Array(), ""],
    ];
    for (const [data, contentType] of bytes) {
      const event = through(data, contentType);
      assert.deepEqual([...event.data], [...data]);
      assert.equal(event.dataContentType, contentType || "application/octet-stream");
    }
  });

  it("takes attributes from metadata, but not those that say what and where it is", () => {
    const event = JSON.parse(
      text(
        wrap("x", "text/plain", {
          "cloudevent.id": "e-1",
          "cloudevent.subject": "apple",
          "cloudevent.type": "",
          "cloudevent.topic": "elsewhere",
          "cloudevent.specversion": "0.3",
          "cloudevent.data": "y",
          "cloudevent.Not-An-Attribute": "z",
          ttlInSeconds: "60",
        }),
      ),
    );
    const { id, subject, type, topic, specversion, data } = event;
    assert.deepEqual(
      { id, subject, type, topic, specversion, data },
      { id: "e-1", subject: "apple", type: "outrigger.event.sent", topic: "orders", specversion: "1.0", data: "x" },
    );
    assert.ok(Date.parse(event.expiration) > Date.now());
    assert.ok(!Object.keys(event).some((name) => name.toLowerCase().includes("attribute")));
    for (const ttlInSeconds of ["0", "-1", "1.5", "soon"]) {
      assert.throws(() => wrap("x", "text/plain", { ttlInSeconds }), { reason: "TTL_INVALID" });
    }
  });

  it("completes an event of the publisher's own and keeps its data to the letter", () => {
    const own = '{"id":"1","source":"s","type":"t","data":{"n":12345678901234567890},"extension":7}';
    const event = received(wrap(own, "application/cloudevents+json; charset=utf-8"));
    assert.equal(text(event.data), '{"n":12345678901234567890}');
    assert.deepEqual(
      [event.id, event.source, event.type, event.specVersion, event.metadata.extension],
      ["1", "s", "t", "1.0", "7"],
    );
    for (const wrong of ["{}", '{"id":"","source":"s","type":"t"}', "[]", "{", "\xff"]) {
      assert.throws(() => wrap(Buffer.from(wrong, "latin1"), cloudEventType), { code: "INVALID_ARGUMENT" });
    }
    assert.throws(() => wrap("{", "application/json"), { reason: "DATA_MALFORMED" });
  });
});

describe("what comes from the broker", () => {
  it("is an event even when it was published raw, or is no event whatever it says", () => {
    for (const [data, contentType] of [
      ["raw", "text/plain"],
      ["{ half an event", cloudEventType],
      ["[]", cloudEventType],
    ] as const) {
      const event = received(Buffer.from(data), contentType);
      assert.deepEqual(
        [event.id, text(event.data), event.dataContentType, event.topic, event.pubsubName, event.metadata.key],
        ["broker-1", data, contentType, "orders", "events", "k"],
      );
    }
  });

  it("may come from a stranger, with data in base64, of any JSON type, or none", () => {
    const from = (rest: string): TopicEvent =>
      received(Buffer.from(`{"specversion":"1.0","id":"1","source":"s","type":"t"${rest}}`));
    assert.equal(text(from(',"data_base64":"aGk="').data), "hi");
    assert.equal(text(from(',"data":[1, 2]').data), "[1, 2]");
    assert.equal(text(from(',"datacontenttype":"text/plain","data":"a\\nb"').data), "a\nb");
    assert.equal(text(from(',"datacontenttype":"application/json","data":"a"').data), '"a"');
    assert.equal(from("").data.length, 0);
    assert.equal(from(',"expiration":"2020-01-01T00:00:00Z"').expiresAtMs, Date.parse("2020-01-01T00:00:00Z"));
  });
});
