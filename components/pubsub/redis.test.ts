/** What pub/sub on Redis does beside what every pub/sub component does: how it lies there, who takes over, what is thrown away. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { bytesOf, callWith, eventually, unique } from "../../test/conformance/backend.ts";
import { selfSigned } from "../../test/support/certificate.ts";
import { openContext } from "../../test/support/open-context.ts";
import { type RedisServer, redisCli, startRedis } from "../../test/support/redis-server.ts";
import { freePort } from "../../test/support/server-process.ts";
import type { OpenContext } from "../component.ts";
import type { Deliver, PubSub, ReceivedMessage } from "./pubsub.ts";
import { redisPubSub } from "./redis.ts";

const open = (settings: object, changes: Partial<OpenContext> = {}): Promise<PubSub> =>
  redisPubSub.open(redisPubSub.config.parse(settings), openContext("events", changes));

const publish = (pubsub: PubSub, topic: string, text: string): Promise<void> =>
  pubsub.publish({ topic, data: bytesOf(text), contentType: "text/plain", metadata: { from: "here" } }, callWith());

const subscribe = (pubsub: PubSub, topic: string, deliver: Deliver): Promise<AsyncDisposable> =>
  pubsub.subscribe({ topic, group: "group", metadata: {} }, deliver);

const textOf = ({ data }: ReceivedMessage): string => Buffer.from(data).toString();

describe("pub/sub on Redis", () => {
  let server: RedisServer;
  let pubsub: PubSub;
  before(async () => {
    server = await startRedis();
    pubsub = await open({ url: `redis://${server.address}`, claimIdleMs: 300, prefetch: 200 });
  });
  after(async () => {
    await pubsub[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  const cli = (...command: string[]): Promise<string> => redisCli(server, ...command);
  const lengthOf = async (topic: string): Promise<number> => Number(await cli("XLEN", topic));

  it("keeps a message as Dapr does, and reads what Dapr and others wrote", async () => {
    const topic = unique("topic");
    const seen: ReceivedMessage[] = [];
    await using _ = await subscribe(pubsub, topic, async (message) => {
      seen.push(message);
    });
    await publish(pubsub, topic, "ours");
    const fields = ["data", "ours", "contentType", "text/plain", "metadata", '{"from":"here"}'];
    assert.deepEqual((await cli("XRANGE", topic, "-", "+")).split("\n").slice(1), fields);
    const id = await cli("XADD", topic, "*", "data", "theirs", "metadata", '{"a":"b","n":1}');
    await cli("XADD", topic, "*", "something", "else", "metadata", "{");
    await eventually("all have come", () => seen.length === 3);
    assert.deepEqual(seen.map(textOf), ["ours", "theirs", ""]);
    assert.equal(seen[1]?.id, id);
    assert.deepEqual(seen[1]?.metadata, { a: "b" });
    assert.deepEqual(seen[2]?.metadata, {});
  });

  it("leaves a message with a subscriber that is slow, and alive", async () => {
    const topic = unique("topic");
    let deliveries = 0;
    const slow = Promise.withResolvers<void>();
    const deliver = async (): Promise<void> => {
      deliveries++;
      await slow.promise;
    };
    await using _one = await subscribe(pubsub, topic, deliver);
    await using _two = await subscribe(pubsub, topic, deliver);
    await publish(pubsub, topic, "slow");
    await eventually("one has it", () => deliveries === 1);
    const heldSince = performance.now();
    let renewals = 0;
    let lastIdle = 0;
    await eventually("it was held for long, and renewed meanwhile", async () => {
      const idle = Number((await cli("XPENDING", topic, "group", "-", "+", "1")).split("\n")[2]);
      if (idle < lastIdle) renewals++;
      lastIdle = idle;
      return renewals >= 3 && performance.now() - heldSince > 1_000;
    });
    assert.equal(deliveries, 1);
    slow.resolve();
    await eventually("it is done", async () => (await cli("XPENDING", topic, "group")).startsWith("0"));
  });

  it("takes over what a dead subscriber left, and forgets it then", async () => {
    const topic = unique("topic");
    await cli("XGROUP", "CREATE", topic, "group", "0", "MKSTREAM");
    await publish(pubsub, topic, "left behind");
    await cli("XREADGROUP", "GROUP", "group", "dead", "STREAMS", topic, ">");
    const seen: string[] = [];
    await using _ = await subscribe(pubsub, topic, async (message) => {
      seen.push(textOf(message));
    });
    await eventually("it has come", () => seen.length === 1);
    await eventually(
      "the dead one is forgotten",
      async () => !(await cli("XINFO", "CONSUMERS", topic, "group")).includes("dead"),
    );
    assert.deepEqual(seen, ["left behind"]);
  });

  it("leaves no consumer behind when a subscription ends", async () => {
    const topic = unique("topic");
    await using _ = await subscribe(pubsub, topic, async () => undefined);
    const other = await subscribe(pubsub, topic, async () => undefined);
    const consumers = async () =>
      (await cli("XINFO", "CONSUMERS", topic, "group")).split("\n").filter((line) => line === "name");
    await eventually("both are there", async () => (await consumers()).length === 2);
    await other[Symbol.asyncDispose]();
    assert.equal((await consumers()).length, 1);
  });

  it("throws away what all groups have acknowledged, and nothing that one of them still needs", async () => {
    const topic = unique("topic");
    let taken = 0;
    await using _ = await subscribe(pubsub, topic, async () => {
      taken++;
    });
    await cli("XGROUP", "CREATE", topic, "away", "0");
    await Promise.all(Array.from({ length: 500 }, (_, index) => publish(pubsub, topic, `${index}`)));
    await eventually("all have come", () => taken === 500);
    assert.equal(await lengthOf(topic), 500);
    await cli("XGROUP", "DESTROY", topic, "away");
    await eventually("most of them are gone", async () => (await lengthOf(topic)) <= 100);
  });

  it("keeps a topic short that nobody has subscribed to", async () => {
    const topic = unique("topic");
    await Promise.all(Array.from({ length: 12_500 }, () => publish(pubsub, topic, "x")));
    assert.ok((await lengthOf(topic)) < 11_200, `${await lengthOf(topic)} are kept`);
  });

  it("keeps about maxLen messages where it is given", async () => {
    const topic = unique("topic");
    await using short = await open({ url: `redis://${server.address}`, maxLen: 200 });
    await cli("XGROUP", "CREATE", topic, "away", "0", "MKSTREAM");
    await Promise.all(Array.from({ length: 1_000 }, () => publish(short, topic, "x")));
    assert.ok((await lengthOf(topic)) <= 300);
  });

  it("goes on when somebody deletes the stream", async () => {
    const topic = unique("topic");
    const seen: string[] = [];
    await using _ = await subscribe(pubsub, topic, async (message) => {
      seen.push(textOf(message));
    });
    await publish(pubsub, topic, "before");
    await eventually("the first has come", () => seen.length === 1);
    await cli("DEL", topic);
    await publish(pubsub, topic, "after");
    await eventually("the next has come", () => seen.includes("after"));
  });

  it("warns once of what its user may not do, and goes on with what it may", async () => {
    await cli("ACL", "SETUSER", "limited", "on", ">open sesame", "~*", "+@all", "-xautoclaim");
    const warnings: string[] = [];
    const nothing = (): void => undefined;
    const warn = (fields: object, message: string): void => {
      warnings.push(`${message} ${JSON.stringify(fields)}`);
    };
    const settings = {
      url: `redis://${server.address}`,
      username: "limited",
      password: "open sesame",
      claimIdleMs: 300,
    };
    await using limited = await open(settings, { log: { debug: nothing, info: nothing, error: nothing, warn } });
    const seen: string[] = [];
    const topic = unique("topic");
    await using _ = await subscribe(limited, topic, async (message) => {
      seen.push(textOf(message));
    });
    await eventually("it has warned", () => warnings.length > 0);
    for (const text of ["one", "two"]) await publish(limited, topic, text);
    await eventually("both have come", () => seen.length === 2);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", /a group cannot be kept now/);
    assert.ok(!warnings.join().includes("open sesame"));
  });

  it("gives a new group all that there is where first is all", async () => {
    const topic = unique("topic");
    await publish(pubsub, topic, "early");
    await using all = await open({ url: `redis://${server.address}`, first: "all" });
    const seen: string[] = [];
    await using _ = await subscribe(all, topic, async (message) => {
      seen.push(textOf(message));
    });
    await eventually("it has come", () => seen.length === 1);
  });

  it("does not claim order with several deliveries at a time", () => {
    const config = redisPubSub.config.parse({ concurrency: 2 });
    assert.deepEqual(redisPubSub.capabilitiesWith?.(config), ["durable", "redelivery", "shared"]);
  });
});

it("pub/sub on Redis reads with the user and the certificate that it publishes with", async () => {
  const { key, cert } = selfSigned();
  await using place = await startRedis();
  const [keyFile, certFile] = [join(place.directory, "key.pem"), join(place.directory, "cert.pem")];
  await Promise.all([writeFile(keyFile, key), writeFile(certFile, cert)]);
  const port = String(await freePort());
  const tls = [
    "--tls-port",
    port,
    "--tls-key-file",
    keyFile,
    "--tls-cert-file",
    certFile,
    "--tls-ca-cert-file",
    certFile,
  ];
  await using server = await startRedis(...tls);
  await redisCli(server, "ACL", "SETUSER", "app", "on", ">Tell-Nobody", "~*", "+@all");
  const settings = {
    url: `rediss://localhost:${port}`,
    username: "app",
    password: { secretKeyRef: { store: "vault", name: "redis" } },
    tls: { ca: certFile, cert: certFile, key: keyFile },
    connectTimeoutMs: 2_000,
  };
  await using pubsub = await open(settings, { secret: async () => "Tell-Nobody" });
  const seen: string[] = [];
  await using _ = await subscribe(pubsub, "topic", async (message) => {
    seen.push(textOf(message));
  });
  await publish(pubsub, "topic", "secret");
  await eventually("it has come", () => seen.length === 1);
  await assert.rejects(open(settings, { secret: async () => "wrong" }), { code: "UNAUTHENTICATED" });
  const { tls: _tls, ...untrusting } = settings;
  await assert.rejects(open(untrusting, { secret: async () => "Tell-Nobody" }), { code: "UNAVAILABLE" });
});
