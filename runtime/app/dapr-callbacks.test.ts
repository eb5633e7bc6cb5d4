import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AppCallbackService,
  BindingEventResponse,
  BindingEventResponse_BindingEventConcurrency,
} from "../../proto/gen/dapr/proto/runtime/v1/appcallback.ts";

test("the callbacks have the names and the numbers that Dapr publishes", () => {
  const { listInputBindings, onBindingEvent } = AppCallbackService;
  assert.equal(listInputBindings.path, "/dapr.proto.runtime.v1.AppCallback/ListInputBindings");
  assert.equal(onBindingEvent.path, "/dapr.proto.runtime.v1.AppCallback/OnBindingEvent");
  const listed = listInputBindings.responseSerialize({ bindings: ["ab"] });
  assert.equal(listed.toString("hex"), "0a026162");
  const event = { name: "a", data: Buffer.from([7]), metadata: { k: "v" } };
  assert.equal(onBindingEvent.requestSerialize(event).toString("hex"), "0a0161120107" + "1a060a016b120176");
  const concurrency = BindingEventResponse_BindingEventConcurrency.PARALLEL;
  const wish = { storeName: "s", to: ["t"], data: Buffer.from([7]), concurrency };
  const bytes = BindingEventResponse.encode(wish).finish();
  assert.equal(Buffer.from(bytes).toString("hex"), "0a0173" + "1a0174" + "220107" + "2801");
});

test("an answer with states to save, which is not read, is an answer", () => {
  const state = Buffer.from("12060a016b1201761a0174", "hex");
  assert.deepEqual(BindingEventResponse.decode(state).to, ["t"]);
});
