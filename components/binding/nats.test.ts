import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect, type Msg, type NatsConnection } from "nats";
import { callWith, eventually, unique } from "../../test/conformance/backend.ts";
import { type NatsServer, startNats } from "../../test/support/nats-server.ts";
import { openContext } from "../../test/support/open-context.ts";
import type { OpenContext } from "../component.ts";
import { RuntimeError } from "../error.ts";
import type { Binding, BindingEvent } from "./binding.ts";
import { natsBinding } from "./nats.ts";

describe("the binding to NATS", () => {
  let server: NatsServer;
  let other: NatsConnection;
  before(async () => {
    server = await startNats({ jetStream: false });
    other = await connect({ servers: server.address });
  });
  after(async () => {
    await other.close();
    await server[Symbol.asyncDispose]();
  });
  const open = (settings: object, changes: Partial<OpenContext> = {}): Promise<Binding> =>
    natsBinding.open(
      natsBinding.config.parse({ servers: [server.address], ...settings }),
      openContext("legacy", changes),
    );
  const refused = (code: RuntimeError["code"]) => (error: unknown) =>
    error instanceof RuntimeError && error.code === code && error.message.includes("'legacy'");

  it("sends a message with its metadata as headers", async () => {
    const subject = unique("out");
    await using binding = await open({ subject });
    const heard: Msg[] = [];
    other.subscribe(subject, { callback: (_error, message) => heard.push(message) });
    await other.flush();
    const metadata = { "X-Trace": "1 2" };
    const response = await binding.invoke({ operation: "create", data: Buffer.from("hello"), metadata }, callWith());
    assert.equal(response.data.byteLength, 0);
    await eventually("it was heard", () => heard.length === 1);
    assert.equal(heard[0]?.string(), "hello");
    assert.equal(heard[0]?.headers?.get("X-Trace"), "1 2");
  });

  it("sends a request and gives the answer, or says that nobody answers", async () => {
    const subject = unique("ask");
    await using binding = await open({ subject, requestTimeoutMs: 1_500 });
    const ask = () => binding.invoke({ operation: "request", data: Buffer.from("2"), metadata: {} }, callWith());
    await assert.rejects(ask(), refused("UNAVAILABLE"));
    let mayAnswer = true;
    other.subscribe(subject, {
      callback: (_error, message) => {
        if (mayAnswer) message.respond(`twice ${message.string()}`);
      },
    });
    await other.flush();
    assert.equal(Buffer.from((await ask()).data).toString(), "twice 2");
    mayAnswer = false;
    await assert.rejects(ask(), refused("UNAVAILABLE"));
  });

  it("sends no headers of NATS's own, nor what is no header", async () => {
    await using binding = await open({ subject: unique("out") });
    for (const metadata of [{ "Nats-Rollup": "all" }, { "KV-Operation": "DEL" }, { "a b": "x" }, { a: "x\r\nb: y" }]) {
      const request = { operation: "create", data: new Uint8Array(0), metadata };
      await assert.rejects(binding.invoke(request, callWith()), refused("INVALID_ARGUMENT"));
    }
  });

  it("has subjects without wildcards for what goes out, and with them for what comes in", async () => {
    for (const subject of ["a.*", ">", "a..b", "", "a b"]) assert.throws(() => natsBinding.config.parse({ subject }));
    for (const listen of ["a.>.b", "a.", " "]) assert.throws(() => natsBinding.config.parse({ listen }));
    for (const listen of ["a.*.b", "a.>", ">", "*"]) natsBinding.config.parse({ listen });
    await assert.rejects(open({}), refused("INVALID_ARGUMENT"));
  });

  it("shares what comes in among those of one queue", async () => {
    const subject = unique("in");
    await using one = await open({ listen: `${subject}.*`, queue: "workers" });
    await using two = await open({ listen: `${subject}.*`, queue: "workers" });
    const events: BindingEvent[] = [];
    const deliver = async (event: BindingEvent): Promise<void> => void events.push(event);
    await using _one = await one.listen?.(deliver);
    await using _two = await two.listen?.(deliver);
    for (let index = 0; index < 20; index++) other.publish(`${subject}.${index}`, String(index));
    await eventually("all have come", () => events.length >= 20);
    const texts = events.map(({ data }) => Buffer.from(data).toString());
    assert.equal(new Set(texts).size, 20);
    assert.equal(events.length, 20);
    assert.equal(events[0]?.metadata.subject, `${subject}.${texts[0]}`);
  });

  it("holds only so much of what comes faster than it is taken, and tells that the rest is lost", async () => {
    const subject = unique("flood");
    const warnings: string[] = [];
    const note = (_fields: object, message: string): void => void warnings.push(message);
    const log = { debug: note, info: note, warn: note, error: note };
    await using binding = await open({ listen: subject, concurrency: 2, maxPending: 5 }, { log });
    const enough = Promise.withResolvers<void>();
    let taken = 0;
    await using _ = await binding.listen?.(async () => {
      await enough.promise;
      taken++;
    });
    for (let index = 0; index < 50; index++) other.publish(subject, String(index));
    await eventually("it is told", () => warnings.length > 0);
    enough.resolve();
    await eventually("what was held is taken", () => taken === 7);
    assert.match(warnings.join(), /'legacy' are lost/);
  });
});
