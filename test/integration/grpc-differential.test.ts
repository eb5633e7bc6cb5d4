/**
 * The same random traffic of a grpc-js client against our transport and against grpc-js's server: what callers and handlers
 * see must be equal. The seed is part of each test's name, so that a failure can be had again.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Client, compressionAlgorithms, credentials, Metadata, type StatusObject } from "@grpc/grpc-js";
import type { CallContext } from "../../components/component.ts";
import { type ErrorCode, RuntimeError } from "../../components/error.ts";
import { http2Transport } from "../../runtime/grpc/http2-transport.ts";
import type { BidiStream, HandlersOf, ResponseStream } from "../../runtime/grpc/service.ts";
import { statusNames } from "../../runtime/grpc/status-code.ts";
import type { GrpcTransport } from "../../runtime/grpc/transport.ts";
import { connected, echo, maxMessageBytes, serveEcho } from "../support/grpc-echo.ts";
import { grpcJsTransport } from "../support/grpc-js/grpc-js-transport.ts";
import { type Random, randomOf } from "../support/random.ts";

const kinds = ["unary", "upload", "download", "chat"] as const;
const endings = ["ok", "ok", "ok", "error", "crash", "deadline", "cancel", "too-large"] as const;
/** Each at the place of its number. */
const algorithms = [compressionAlgorithms.identity, compressionAlgorithms.deflate, compressionAlgorithms.gzip];
type Pairs = readonly (readonly [string, string])[];

/** One call: what the caller sends and when it gives up, and what the handler is told to do. */
interface Scenario {
  readonly kind: (typeof kinds)[number];
  readonly ending: (typeof endings)[number];
  readonly compression: compressionAlgorithms;
  readonly metadata: Pairs;
  readonly requestBytes: readonly number[];
  readonly plan: Plan;
}

interface Plan {
  readonly id: number;
  readonly ending: Scenario["ending"];
  readonly responseBytes: readonly number[];
  readonly initial: Pairs;
  readonly trailing: Pairs;
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: Record<string, string>;
}

/** What the handler of a call saw. */
class Seen {
  metadata: Record<string, readonly string[]> = {};
  hasDeadline = false;
  readonly requests: string[] = [];
  aborted = "";
}

/** Where the handlers of a call write what they see, and when they wait for its end. */
class Watch {
  readonly id: number;
  isWaiting = false;
  readonly seen = new Seen();
  readonly waits = Promise.withResolvers<void>();
  readonly ended = Promise.withResolvers<void>();

  constructor(id: number) {
    this.id = id;
  }
}

const digest = (bytes: Uint8Array): string => `${bytes.length} ${createHash("sha256").update(bytes).digest("hex")}`;
const fill = (length: number): Buffer => Buffer.alloc(length, `${length} bytes of it `);

function pairs(random: Random): Pairs {
  const made: [string, string][] = [];
  for (let count = random.below(4); count > 0; count -= 1) {
    const isBinary = random.below(2) === 0;
    const bytes = Buffer.from(Array.from({ length: random.below(40) }, () => random.below(256)));
    // Empty values of binary metadata are lost by grpc-js.
    made.push([
      `x-${random.below(3)}${isBinary ? "-bin" : ""}`,
      isBinary ? Buffer.concat([Buffer.from([count]), bytes]).toString("base64") : bytes.toString("hex"),
    ]);
  }
  return made;
}

function scenario(random: Random, id: number): Scenario {
  const kind = random.of(kinds);
  const ending = random.of(endings);
  const size = (): number => random.of([0, 1, 5, 100, 1_000, 20_000, 70_000, 200_000]);
  const several = (): number[] => Array.from({ length: random.below(6) }, size);
  const code = random.of(statusNames.filter((name) => name !== "OK"));
  return {
    kind,
    ending,
    compression: random.of(algorithms),
    metadata: pairs(random),
    requestBytes: kind === "upload" || kind === "chat" ? several() : [size()],
    plan: {
      id,
      ending,
      responseBytes: kind === "download" || kind === "chat" ? several() : [size()],
      initial: pairs(random),
      trailing: pairs(random),
      code,
      message: random.of(["", "plain", "with % and \n lines", "ä☺😈", "x".repeat(3_000)]),
      details: random.below(2) === 0 ? {} : { key: "k", number: `${id}` },
    },
  };
}

const planHeader = "x-plan-bin";
const grouped = (list: Pairs): Record<string, readonly string[]> =>
  Object.fromEntries(
    [...Map.groupBy(list, ([name]) => name)].sort().map(([name, same]) => {
      const values = same.map(([, value]) => value);
      // node:http2 joins what comes more than once.
      return [name, name.endsWith("-bin") ? values : [values.join(", ")]];
    }),
  );

/** Handlers that do as the plan in the metadata says, watched by the plan's id. */
function handlersThat(watches: readonly Watch[]): HandlersOf<typeof echo> {
  const begin = (call: CallContext): { plan: Plan; own: Seen } => {
    const metadata = call.metadata ?? [];
    const encoded = metadata.find(([name]) => name === planHeader)?.[1] ?? "";
    const plan: Plan = JSON.parse(Buffer.from(encoded, "base64").toString());
    const own = watches[plan.id]?.seen ?? new Seen();
    own.metadata = grouped(metadata.filter(([name]) => /^x-\d/.test(name)));
    own.hasDeadline = call.deadlineMs !== undefined;
    if (plan.initial.length > 0) call.sendMetadata?.(plan.initial);
    call.setTrailingMetadata?.(plan.trailing);
    return { plan, own };
  };
  const finish = async ({ id, ending, code, message, details }: Plan, { signal }: CallContext): Promise<void> => {
    if (ending === "error") throw new RuntimeError(code, "ASKED", message, { details });
    if (ending === "crash") throw new TypeError("not for the caller");
    if (ending !== "deadline" && ending !== "cancel") return;
    const watch = watches[id];
    if (watch !== undefined) watch.isWaiting = true;
    watch?.waits.resolve();
    if (!signal.aborted) await once(signal, "abort");
    // The caller's own timer and ours race for a deadline.
    if (watch !== undefined) watch.seen.aborted = ending === "deadline" ? "in time" : signal.reason.code;
    watch?.ended.resolve();
    signal.throwIfAborted();
  };
  const last = (plan: Plan): Buffer =>
    fill(plan.ending === "too-large" ? maxMessageBytes + 1 : (plan.responseBytes[0] ?? 0));
  const writeAll = async (plan: Plan, { write }: Pick<ResponseStream<Buffer>, "write">): Promise<void> => {
    for (const length of plan.responseBytes) await write(fill(length));
    if (plan.ending === "too-large") await write(last(plan));
  };
  return {
    async unary(request, call) {
      const { plan, own } = begin(call);
      own.requests.push(digest(request));
      await finish(plan, call);
      return last(plan);
    },
    async upload(requests, call) {
      const { plan, own } = begin(call);
      for await (const request of requests) own.requests.push(digest(request));
      await finish(plan, call);
      return last(plan);
    },
    async download(request, stream) {
      const { plan, own } = begin(stream.call);
      own.requests.push(digest(request));
      await writeAll(plan, stream);
      await finish(plan, stream.call);
    },
    async chat(stream: BidiStream<Buffer, Buffer>) {
      const { plan, own } = begin(stream.call);
      for await (const request of stream.requests) own.requests.push(digest(request));
      await writeAll(plan, stream);
      await finish(plan, stream.call);
    },
  };
}

/** What the caller saw. */
interface Outcome {
  readonly code: number;
  readonly details: string;
  readonly initial: Record<string, readonly string[]>;
  readonly trailing: Record<string, readonly string[]>;
  readonly responses: readonly string[];
}

const own = (metadata: Metadata): Record<string, readonly string[]> =>
  grouped(
    Object.keys(metadata.getMap())
      .filter((name) => /^x-\d|^grpc-status-details-bin$/.test(name))
      .flatMap((name) =>
        metadata
          .get(name)
          .map((value) => [name, typeof value === "string" ? value : value.toString("base64")] as const),
      ),
  );

const identity = (bytes: Buffer): Buffer => bytes;
/** Mostly long enough that the handler waits for it by then; a call for which it was not is made again with twice the time. */
const firstDeadlineMs = 1_000;

function call(client: Client, scenario: Scenario, watch: Watch, deadlineMs: number): Promise<Outcome> {
  const { kind, ending, metadata: given, requestBytes, plan } = scenario;
  const metadata = new Metadata();
  for (const [name, value] of given) metadata.add(name, name.endsWith("-bin") ? Buffer.from(value, "base64") : value);
  metadata.set(planHeader, Buffer.from(JSON.stringify({ ...plan, id: watch.id })));
  const options = ending === "deadline" ? { deadline: Date.now() + deadlineMs } : {};
  const { path } = echo[kind];
  const stream = client.makeBidiStreamRequest(path, identity, identity, metadata, options);
  return new Promise((resolve) => {
    let initial = new Metadata();
    const responses: string[] = [];
    stream.on("error", () => undefined);
    stream.on("metadata", (received: Metadata) => {
      initial = received;
    });
    stream.on("data", (response: Buffer) => responses.push(digest(response)));
    stream.on("status", ({ code, details, metadata: trailing }: StatusObject) => {
      // What the client ends itself it tells in its own words, and how much came before is a matter of luck.
      const isOwn = ending === "deadline" || ending === "cancel";
      if (isOwn) resolve({ code, details: "", initial: {}, trailing: {}, responses: [] });
      else
        resolve({
          code,
          details: code === 0 ? "" : details,
          initial: own(initial),
          trailing: own(trailing),
          responses,
        });
    });
    for (const length of requestBytes) stream.write(fill(length));
    stream.end();
    if (ending === "cancel") void watch.waits.promise.then(() => stream.cancel());
  });
}

/** All scenarios at once against one transport: what both sides saw of each. */
async function run(transport: GrpcTransport, scenarios: readonly Scenario[]) {
  const watches: Watch[] = [];
  await using server = await serveEcho({ transport, handlers: handlersThat(watches) });
  await using open = new AsyncDisposableStack();
  const clients = algorithms.map((algorithm) => {
    const client = new Client(server.address, credentials.createInsecure(), {
      "grpc.default_compression_algorithm": algorithm,
      "grpc.use_local_subchannel_pool": 1,
    });
    open.defer(() => client.close());
    return client;
  });
  await Promise.all(clients.map(connected));
  const through = async (scenario: Scenario) => {
    for (let deadlineMs = firstDeadlineMs; ; deadlineMs *= 2) {
      const watch = new Watch(watches.length);
      watches.push(watch);
      const client = clients[scenario.compression] ?? server.client;
      const outcome = await call(client, scenario, watch, deadlineMs);
      if (scenario.ending === "deadline" && !watch.isWaiting) continue;
      if (scenario.ending === "cancel" || scenario.ending === "deadline") await watch.ended.promise;
      return { scenario, outcome, seen: watch.seen };
    }
  };
  return await Promise.all(scenarios.map(through));
}

describe("our transport and grpc-js's", { concurrency: true }, () => {
  for (const seed of [1, 2, 3]) {
    it(`mean the same by the same calls (seed ${seed})`, async () => {
      const random = randomOf(seed);
      const scenarios = Array.from({ length: 60 }, (_, id) => scenario(random, id));
      const ours = await run(http2Transport, scenarios);
      const theirs = await run(grpcJsTransport, scenarios);
      for (const [index, expected] of theirs.entries()) assert.deepEqual(ours[index], expected);
    });
  }
});
