import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bytesOf, callWith, eventually, unique } from "../../test/conformance/backend.ts";
import { startKafka } from "../../test/support/kafka-server.ts";
import { openContext } from "../../test/support/open-context.ts";
import { startedFor } from "../../test/support/programs.ts";
import type { Binding, BindingEvent } from "./binding.ts";
import { kafkaBinding } from "./kafka.ts";

describe("a binding to Kafka", () => {
  const create = (binding: Binding, text: string, metadata: Record<string, string> = {}) =>
    binding.invoke({ operation: "create", data: bytesOf(text), metadata }, callWith());

  it("sends to the topic that it is asked to, or to its own only, and brings in from several", async (context) => {
    await using server = await startedFor(context, () => startKafka("4.4.0"));
    if (server === undefined) return;
    const open = (settings: object): Promise<Binding> =>
      kafkaBinding.open(
        kafkaBinding.config.parse({ brokers: [server.address], ...settings }),
        openContext("orders", {}),
      );
    const [first, second] = [unique("topic"), unique("topic")];
    await using listening = await open({ topics: [first, second] });
    const events: BindingEvent[] = [];
    await using _ = await listening.listen?.(async (event) => {
      events.push(event);
    });
    await using output = await open({});
    assert.equal(output.listen, undefined);
    await create(output, "one", { topic: first, partitionKey: "apple", color: "red" });
    await assert.rejects(create(output, "none"), { code: "INVALID_ARGUMENT", message: /'orders' names no topic/ });
    await using own = await open({ publishTopic: second });
    await create(own, "two");
    await assert.rejects(create(own, "none", { topic: first }), { code: "INVALID_ARGUMENT", message: /only/ });
    await eventually("both have come", () => events.length === 2);
    const found = events.map(({ data, metadata: { topic, key, color } }) => [
      Buffer.from(data).toString(),
      topic,
      key,
      color,
    ]);
    assert.deepEqual(found.toSorted(), [
      ["one", first, "apple", "red"],
      ["two", second, undefined, undefined],
    ]);
  });

  it("claims to bring events in only with topics", () => {
    const claims = (settings: object) => kafkaBinding.capabilitiesWith?.(kafkaBinding.config.parse(settings));
    assert.deepEqual(claims({}), ["output"]);
    assert.deepEqual(claims({ topics: ["orders"] }), ["input", "output", "redelivery"]);
  });
});
