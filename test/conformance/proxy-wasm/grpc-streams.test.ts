import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Metadata, type ServerDuplexStream } from "@grpc/grpc-js";
import { GrpcChannels } from "../../../runtime/grpc/client.ts";
import { encodePairs } from "../../../runtime/proxy-wasm/pairs.ts";
import { cell, drop, out, outside, type PlaceText, say, tell } from "../../support/proxy-wasm-guest.ts";
import { type Guest, startText, TestServices, TestStream } from "../../support/proxy-wasm-host.ts";
import { rawGrpcServer } from "../../support/raw-grpc-server.ts";

const token = `(i32.load ${cell})`;
const send = (message: string, isLast = false): string =>
  `(call $proxy_grpc_send ${token} ${message} (i32.const ${isLast ? 1 : 0}))`;
const open = (text: PlaceText, method = "Bidi", upstream = "outrigger"): string => {
  const metadata = text(Buffer.from(encodePairs([["X-Tenant", "blue"]])).toString("latin1"));
  return `(call $proxy_grpc_stream ${text(upstream)} ${text("test.Raw")} ${text(method)} ${metadata} ${cell})`;
};
const message = `${drop(`(call $proxy_get_buffer_bytes (i32.const 5) (i32.const 0) (i32.const 1000) ${out})`)} ${tell}`;
const value = (map: number, name: string): string =>
  `${drop(`(call $proxy_get_header_map_value (i32.const ${map}) ${name} ${out})`)} ${tell}`;
const closed = `${say("(local.get $code)")} ${drop(`(call $proxy_get_status (i32.const 16) ${out})`)} ${tell}`;

type Duplex = ServerDuplexStream<Buffer, Buffer>;

/** A guest that runs `calls` in a stream's first callback, with a real gRPC server behind its streams. */
async function connect(
  bidi: (call: Duplex) => void,
  build: (text: PlaceText) => { calls: string[]; on: Record<string, string>; pages?: string },
  suspends = false,
): Promise<Guest> {
  const opened = new AsyncDisposableStack();
  const server = opened.use(await rawGrpcServer({ bidi }));
  const channels = opened.use(new GrpcChannels(1 << 20));
  const services = new TestServices();
  services.openStream = (request, receiver) => channels.stream(server.address, request, receiver);
  const guest = opened.use(
    await startText(
      (text) => {
        const { calls, on, ...rest } = build(text);
        return { ...rest, on: { proxy_on_request_headers: `${calls.join("\n")} (i32.const 0)`, ...on } };
      },
      { services, suspends, fuelPerCall: 100_000_000 },
    ),
  );
  guest.instance.open(new TestStream()).requestHeaders(true);
  return { ...guest, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** Answers each message with itself, metadata before and after. */
function echo(call: Duplex): void {
  const head = new Metadata();
  head.set("x-tenant", String(call.metadata.get("x-tenant")[0]));
  call.sendMetadata(head);
  call.on("data", (bytes: Buffer) => call.write(bytes));
  call.on("end", () => {
    const trailers = new Metadata();
    trailers.set("x-count", "2");
    call.end(trailers);
  });
}

for (const suspends of [false, true]) {
  describe(`gRPC streams of a guest that ${suspends ? "suspends" : "does not suspend"}`, () => {
    it("carry metadata, messages and the end both ways, in order", async () => {
      await using guest = await connect(
        echo,
        (text) => ({
          calls: [say(open(text)), say(token), say(send(text("one"))), say(send(text("two"), true))],
          on: {
            proxy_on_grpc_receive_initial_metadata: `${say("(local.get $id)")} ${value(4, text("x-tenant"))}`,
            proxy_on_grpc_receive: `${say("(local.get $token)")} ${say("(local.get $size)")} ${message}`,
            proxy_on_grpc_receive_trailing_metadata: value(5, text("x-count")),
            proxy_on_grpc_close: `${closed} ${say("(i32.const 99)")}`,
          },
        }),
        suspends,
      );
      await guest.services.logged("99");
      const answers = ["1", "blue", "2", "3", "one", "2", "3", "two", "2", "0", "", "99"];
      assert.deepEqual(guest.services.lines, ["0", "2", "0", "0", ...answers]);
    });
  });
}

describe("a gRPC stream", () => {
  it("is half-closed by proxy_grpc_close, and takes no message afterwards", async () => {
    await using guest = await connect(echo, (text) => ({
      calls: [
        drop(open(text)),
        drop(send(text("one"))),
        say(`(call $proxy_grpc_close ${token})`),
        say(send(text("late"))),
      ],
      on: { proxy_on_grpc_receive: message, proxy_on_grpc_close: closed },
    }));
    await guest.services.logged("one");
    while (guest.services.lines.length < 5) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(guest.services.lines, ["0", "2", "one", "0", ""]);
  });

  it("is reset by proxy_grpc_cancel, and delivers nothing afterwards", async () => {
    const cancelled = Promise.withResolvers<void>();
    await using guest = await connect(
      (call) => {
        call.on("cancelled", () => cancelled.resolve());
        call.write(Buffer.from("hello"));
        call.on("data", () => undefined);
      },
      (text) => ({
        calls: [drop(open(text))],
        on: {
          proxy_on_grpc_receive: `${message} ${say(`(call $proxy_grpc_cancel ${token})`)} ${say(`(call $proxy_grpc_cancel ${token})`)}`,
          proxy_on_grpc_close: "unreachable",
        },
      }),
    );
    await cancelled.promise;
    assert.deepEqual(guest.services.lines, ["hello", "0", "1"]);
    assert.deepEqual(guest.lost, []);
  });

  it("that was cancelled in the callback that opened it never begins", async () => {
    await using guest = await connect(
      () => assert.fail("it began"),
      (text) => ({
        calls: [drop(open(text)), say(`(call $proxy_grpc_cancel ${token})`), say(send(text("x")))],
        on: { proxy_on_grpc_close: "unreachable" },
      }),
    );
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(guest.services.lines, ["0", "1"]);
  });

  it("tells the status with which the server ended it", async () => {
    await using guest = await connect(
      (call) => call.emit("error", { code: 7, details: "not you" }),
      (text) => ({ calls: [drop(open(text))], on: { proxy_on_grpc_close: closed } }),
    );
    await guest.services.logged("not you");
    assert.deepEqual(guest.services.lines, ["7", "not you"]);
  });

  it("tells that nobody is there", async () => {
    await using guest = await startText((text) => ({
      on: { proxy_on_request_headers: `${drop(open(text))} (i32.const 0)`, proxy_on_grpc_close: closed },
    }));
    guest.instance.open(new TestStream()).requestHeaders(true);
    await guest.services.logged("nobody is there");
    assert.deepEqual(guest.services.lines, ["14", "nobody is there"]);
  });

  it("ends with its guest", async () => {
    const [began, cancelled] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await using guest = await connect(
      (call) => {
        call.on("cancelled", () => cancelled.resolve());
        began.resolve();
      },
      (text) => ({ calls: [drop(open(text))], on: {} }),
    );
    await began.promise;
    await guest.instance[Symbol.asyncDispose]();
    await cancelled.promise;
  });

  it("waits for a peer that does not read, and takes no more than a bound", async () => {
    const statuses = await sendToOneWhoDoesNotRead(600, 8_192);
    assert.equal(statuses.length, 600);
    assert.equal(statuses[0], "0");
    assert.equal(statuses.at(-1), "10");
  });

  it("takes no more than 4,096 messages that wait to be sent, even of no bytes", async () => {
    const statuses = await sendToOneWhoDoesNotRead(4_100, 0);
    assert.deepEqual(statuses.slice(4_094), ["0", "0", "10", "10", "10", "10"]);
    assert.equal(statuses.indexOf("10"), 4_096);
  });

  it("shares the room for what waits with the others of its guest, and gives it back when it ends", async () => {
    const mebibyte = `(call $proxy_grpc_send ${token} (i32.const 1024) (i32.const ${1 << 20}) (i32.const 0))`;
    const fill = drop(mebibyte).repeat(4);
    await using guest = await connect(
      (call) => call.pause(),
      (text) => ({
        calls: [
          ...Array.from({ length: 16 }, () => `${drop(open(text))} ${fill}`),
          drop(open(text)),
          say(mebibyte),
          say("(call $proxy_grpc_cancel (i32.const 2))"),
          say(mebibyte),
        ],
        on: {},
        pages: "20",
      }),
    );
    assert.deepEqual(guest.services.lines, ["10", "0", "0"]);
  });

  it("sends all that waits, in order, when the peer reads on", async () => {
    const read = Promise.withResolvers<readonly number[]>();
    await using guest = await connect(
      (call) => {
        const numbers: number[] = [];
        call.on("data", (bytes: Buffer) => numbers.push(bytes.readUInt32LE()));
        call.on("end", () => read.resolve(numbers));
        call.pause();
        setImmediate(() => call.resume());
      },
      (text) => ({
        calls: [
          drop(open(text)),
          `(local.set $end (i32.const 4096))
           (loop $again
             (i32.store (i32.const 16) (local.get $end))
             ${drop(`(call $proxy_grpc_send ${token} (i32.const 16) (i32.const 4) (i32.const 0))`)}
             (local.set $end (i32.sub (local.get $end) (i32.const 1)))
             (br_if $again (local.get $end)))`,
          drop(`(call $proxy_grpc_close ${token})`),
        ],
        on: {},
      }),
    );
    const numbers = await read.promise;
    assert.deepEqual(
      numbers,
      Array.from({ length: 4_096 }, (_, index) => 4_096 - index),
    );
    assert.deepEqual(guest.lost, []);
  });
});

/** Sends so many messages at once; the answers of proxy_grpc_send. */
async function sendToOneWhoDoesNotRead(count: number, size: number): Promise<readonly string[]> {
  await using guest = await connect(
    (call) => call.pause(),
    (text) => ({
      calls: [
        drop(open(text)),
        `(local.set $end (i32.const ${count}))
         (loop $again
           ${say(`(call $proxy_grpc_send ${token} (i32.const 1024) (i32.const ${size}) (i32.const 0))`)}
           (local.set $end (i32.sub (local.get $end) (i32.const 1)))
           (br_if $again (local.get $end)))`,
      ],
      on: {},
    }),
  );
  return guest.services.lines;
}

describe("the hostcalls of gRPC streams", () => {
  async function run(build: (text: PlaceText) => string[]): Promise<readonly string[]> {
    await using guest = await startText((text) => ({
      on: { proxy_on_request_headers: `${build(text).join("\n")} (i32.const 0)` },
    }));
    guest.instance.open(new TestStream()).requestHeaders(true);
    assert.deepEqual(guest.lost, []);
    return guest.services.lines;
  }

  it("give even tokens, and know no others", async () => {
    const lines = await run((text) => [
      drop(open(text)),
      say(token),
      drop(open(text)),
      say(token),
      say(`(call $proxy_grpc_send (i32.const 6) ${text("x")} (i32.const 0))`),
      say("(call $proxy_grpc_close (i32.const 6))"),
      say("(call $proxy_grpc_cancel (i32.const 6))"),
      say(`(call $proxy_grpc_send (i32.const 1) ${text("x")} (i32.const 0))`),
    ]);
    assert.deepEqual(lines, ["2", "4", "1", "1", "1", "2"]);
  });

  it("refuse upstreams that there are not, fields that are none, and pointers outside the memory", async () => {
    const lines = await run((text) => {
      const names = [text("outrigger"), text("test.Raw"), text("Bidi"), text("")];
      const calls = names.map((_, bad) => {
        const parts = names.with(bad, `${outside} (i32.const 1)`);
        return say(`(call $proxy_grpc_stream ${parts.join(" ")} ${cell})`);
      });
      const fields = text(Buffer.from(encodePairs([["a b", "c"]])).toString("latin1"));
      return [
        say(open(text, "Bidi", "unknown")),
        say(`(call $proxy_grpc_stream ${names.with(3, fields).join(" ")} ${cell})`),
        say(`(call $proxy_grpc_stream ${names.join(" ")} ${outside})`),
        ...calls,
        drop(open(text)),
        say(`(call $proxy_grpc_send ${token} ${outside} (i32.const 1) (i32.const 0))`),
      ];
    });
    assert.deepEqual(lines, ["4", "2", "6", "6", "6", "6", "6", "6"]);
  });

  it("open a bounded number at once", async () => {
    const lines = await run((text) => {
      const call = open(text);
      return [...Array.from({ length: 128 }, () => drop(call)), say(call), say(token)];
    });
    assert.deepEqual(lines, ["10", "0"]);
  });
});
