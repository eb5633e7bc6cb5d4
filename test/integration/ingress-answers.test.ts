/** Services that answer piece by piece, between real clients and the ingress. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import { describe, it } from "node:test";
import type { AnswerSink, AnswerSource } from "../../runtime/plugin/answer.ts";
import type { StreamFilter, StreamHost } from "../../runtime/plugin/contract.ts";
import { MeasuredStream } from "../../runtime/plugin/rollout/measured-stream.ts";
import { type Callbacks, collect, type OpenFilter, openRig, Plugins, send } from "./ingress-rig.ts";

const unheeding: AnswerSource = { pause: () => {}, resume: () => {}, reset: () => {} };
const noBytes = new Uint8Array(0);

/** Takes what is there of the request out of the hands of the data plane. */
function taken(host: StreamHost): Buffer {
  const body = host.body("request");
  if (body === undefined) return Buffer.alloc(0);
  const bytes = Buffer.from(body.read(0, body.length));
  body.splice(0, body.length, noBytes);
  return bytes;
}

/** Sends the request back as it comes, trailers included. */
const echo: OpenFilter = (host) => {
  let sink: AnswerSink | undefined;
  return {
    requestHeaders: (ends) => {
      sink = host.answer(unheeding);
      sink?.head(
        [
          [":status", "200"],
          ["x-by", "echo"],
        ],
        ends,
      );
      return ends ? "pause" : "hold";
    },
    requestBody: (ends) => {
      sink?.data(taken(host), ends);
      return "watermark";
    },
    requestTrailers: () => {
      sink?.trailers(host.headers("request-trailers")?.entries() ?? []);
      return "pause";
    },
  };
};

/** Gives the test the sink of each stream. */
function handing() {
  const streams: { host: StreamHost; sink: AnswerSink; told: string[] }[] = [];
  const open: OpenFilter = (host) => ({
    requestHeaders: (ends) => {
      const told: string[] = [];
      const sink = host.answer({
        pause: () => told.push("pause"),
        resume: () => told.push("resume"),
        reset: () => told.push("reset"),
      });
      assert.ok(sink);
      streams.push({ host, sink, told });
      return ends ? "pause" : "hold";
    },
    requestBody: () => {
      taken(host);
      return "watermark";
    },
  });
  return { open, streams };
}

const service = (plugin = "service", filters: readonly object[] = []) => ({
  routes: [{ match: { prefix: "/" }, filters, to: { plugin } }],
});

const eventually = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
};

describe("a service that answers piece by piece", () => {
  it("answers while the request still comes, over HTTP/1.1", async () => {
    await using rig = await openRig({ ingress: service(), plugins: new Plugins().add("service", echo) });
    const request = http.request({ port: rig.port, host: "127.0.0.1", method: "POST", agent: false });
    request.write("one");
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    assert.equal(response.headers["transfer-encoding"], "chunked");
    const [first] = (await once(response, "data")) as [Buffer];
    assert.equal(first.toString(), "one");
    request.write("two");
    const [second] = (await once(response, "data")) as [Buffer];
    assert.equal(second.toString(), "two");
    request.addTrailers({ "x-sum": "6" });
    request.end();
    await once(response.resume(), "end");
    assert.equal(response.trailers["x-sum"], "6");
    const record = await rig.record();
    assert.deepEqual([record.status, record.details, record.plugin], [200, "via_plugin", "service"]);
  });

  it("answers while the request still comes, over HTTP/2, with trailers as gRPC has them", async () => {
    await using rig = await openRig({ ingress: service(), plugins: new Plugins().add("service", echo) });
    const client = http2.connect(`http://127.0.0.1:${rig.port}`);
    try {
      const fields = {
        ":method": "POST",
        ":path": "/pkg.Service/Call",
        "content-type": "application/grpc",
        te: "trailers",
      };
      const stream = client.request(fields, { waitForTrailers: true });
      stream.write("ping");
      const [head] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
      assert.equal(head[":status"], 200);
      const [first] = (await once(stream, "data")) as [Buffer];
      assert.equal(first.toString(), "ping");
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end();
      const [trailers] = (await once(stream, "trailers")) as [http2.IncomingHttpHeaders];
      assert.equal(trailers["grpc-status"], "0");
    } finally {
      client.close();
    }
  });

  it("may have answered in full before the request has come", async () => {
    const early: OpenFilter = (host) => ({
      requestHeaders: () => {
        const sink = host.answer(unheeding);
        sink?.head([[":status", "403"]], false);
        sink?.data(Buffer.from("not you"), true);
        return "hold";
      },
    });
    await using rig = await openRig({ ingress: service(), plugins: new Plugins().add("service", early) });
    const request = http.request({ port: rig.port, host: "127.0.0.1", method: "POST", agent: false });
    request.on("error", () => undefined);
    request.write(Buffer.alloc(100_000));
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    assert.deepEqual([response.statusCode, (await collect(response)).body], [403, "not you"]);
    request.destroy();
    assert.equal(rig.plugins.ended, 1);
  });

  it("is told of a slow client, and that it goes on", async () => {
    const { open, streams } = handing();
    await using rig = await openRig({ ingress: service(), plugins: new Plugins().add("service", open) });
    const request = http.get({ port: rig.port, host: "127.0.0.1", agent: false });
    await eventually(() => streams.length === 1);
    const [{ sink, told } = assert.fail("no stream")] = streams;
    sink.head([[":status", "200"]], false);
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    let sent = 0;
    while (!told.includes("pause")) {
      sink.data(Buffer.alloc(64 * 1024), false);
      sent += 64 * 1024;
      await new Promise((resolve) => setImmediate(resolve));
    }
    const whole = collect(response);
    await eventually(() => told.includes("resume"));
    sink.data(noBytes, true);
    assert.equal((await whole).body.length, sent);
    assert.deepEqual(told.slice(0, 2), ["pause", "resume"]);
  });

  it("is told when its client has gone, once, and sends nothing after that", async () => {
    const { open, streams } = handing();
    await using rig = await openRig({ ingress: service(), plugins: new Plugins().add("service", open) });
    const request = http.get({ port: rig.port, host: "127.0.0.1", agent: false });
    request.on("error", () => undefined);
    await eventually(() => streams.length === 1);
    const [{ host, sink, told } = assert.fail("no stream")] = streams;
    sink.head([[":status", "200"]], false);
    await once(request, "response");
    request.destroy();
    await eventually(() => rig.plugins.ended === 1);
    assert.deepEqual(told, ["reset"]);
    sink.data(Buffer.from("more"), true);
    assert.equal(host.answer(unheeding), undefined);
    assert.deepEqual((await rig.record()).flags, ["DC"]);
  });

  it("breaks the response off where it was not finished, and is 500 where nothing was sent", async () => {
    const { open, streams } = handing();
    await using rig = await openRig({ ingress: service(), plugins: new Plugins().add("service", open) });
    const cut = rig.send({ path: "/" });
    await eventually(() => streams.length === 1);
    streams[0]?.sink.head([[":status", "200"]], false);
    streams[0]?.sink.data(Buffer.from("half"), false);
    streams[0]?.sink.reset("it ended early");
    await assert.rejects(cut, /aborted|hang up/);
    const unsent = rig.send({ path: "/" });
    await eventually(() => streams.length === 2);
    assert.throws(() => streams[1]?.sink.head([[":status", "42"]], false), RangeError);
    streams[1]?.sink.reset("its head is none");
    const { status, body } = await unsent;
    assert.deepEqual([status, body], [500, "its head is none\n"]);
  });

  it("cannot answer twice, nor where a reply went out; a filter cannot at all", async () => {
    const answers: unknown[] = [];
    const twice: OpenFilter = (host) => ({
      requestHeaders: () => {
        const sink = host.answer(unheeding);
        answers.push(sink === undefined, host.answer(unheeding));
        sink?.head([[":status", "200"]], true);
        return "pause";
      },
    });
    const filter: OpenFilter = (host) => ({
      requestHeaders: () => {
        answers.push(host.answer(unheeding));
        return "continue";
      },
    });
    await using rig = await openRig({
      ingress: service("service", [{ plugin: "filter" }]),
      plugins: new Plugins().add("service", twice).add("filter", filter),
    });
    assert.equal((await rig.send({})).status, 200);
    assert.deepEqual(answers, [undefined, false, undefined]);
  });

  it("passes through the filters in front of it, which may change each piece", async () => {
    const shouting: OpenFilter = (host): Callbacks => ({
      responseHeaders: () => {
        host.headers("response-headers")?.set("x-shouted", "yes");
        host.headers("response-headers")?.remove("content-length");
        return "continue";
      },
      responseBody: () => {
        const body = host.body("response");
        const text = Buffer.from(body?.read(0, body.length) ?? []).toString();
        body?.splice(0, body.length, Buffer.from(`${text.toUpperCase()}!`));
        return "continue";
      },
    });
    const { open, streams } = handing();
    await using rig = await openRig({
      ingress: service("service", [{ plugin: "shouting" }]),
      plugins: new Plugins().add("service", open).add("shouting", shouting),
    });
    const answer = rig.send({});
    await eventually(() => streams.length === 1);
    const sink = streams[0]?.sink;
    sink?.head(
      [
        [":status", "200"],
        ["content-length", "6"],
      ],
      false,
    );
    sink?.data(Buffer.from("one"), false);
    sink?.data(Buffer.from("two"), true);
    const { headers, body } = await answer;
    assert.deepEqual([headers["x-shouted"], headers["content-length"], body], ["yes", undefined, "ONE!TWO!"]);
  });

  it("answers HEAD without a body", async () => {
    await using rig = await openRig({ ingress: service(), plugins: new Plugins().add("service", echo) });
    const { status, headers, body } = await send({ port: rig.port, host: "127.0.0.1", method: "HEAD", agent: false });
    assert.deepEqual([status, headers["x-by"], body], [200, "echo", ""]);
  });
});

describe("a service on trial that answers piece by piece", () => {
  /** Serves one request through a measured stream; resolves to whether it counts as failed. */
  async function measured(open: OpenFilter): Promise<boolean> {
    const outcomes: boolean[] = [];
    const idle: StreamFilter = {
      requestHeaders: () => "continue",
      requestBody: () => "continue",
      requestTrailers: () => "continue",
      responseHeaders: () => "continue",
      responseBody: () => "continue",
      responseTrailers: () => "continue",
      end: () => undefined,
    };
    const trial: OpenFilter = (host, options) =>
      MeasuredStream.open(
        { open: (inner) => ({ ...idle, ...open(inner, options) }) },
        host,
        (outcome) => void outcomes.push(outcome === "failed"),
      );
    await using rig = await openRig({ ingress: service(), plugins: new Plugins().add("service", trial) });
    await rig.send({}).catch(() => undefined);
    await eventually(() => outcomes.length > 0);
    return outcomes[0] ?? assert.fail("nothing was measured");
  }

  it("has succeeded when its answer is whole, within the callback or after it", async () => {
    assert.equal(await measured(echo), false);
    const later: OpenFilter = (host) => ({
      requestHeaders: () => {
        setImmediate(() => host.answer(unheeding)?.head([[":status", "200"]], true));
        return "pause";
      },
    });
    assert.equal(await measured(later), false);
  });

  it("has failed when it broke its answer off, or told of a failure", async () => {
    const broken: OpenFilter = (host) => ({
      requestHeaders: () => {
        const sink = host.answer(unheeding);
        sink?.head([[":status", "200"]], false);
        sink?.reset("it ended early");
        return "pause";
      },
    });
    assert.equal(await measured(broken), true);
    const failing: OpenFilter = (host) => ({
      requestHeaders: () => {
        host.answer(unheeding)?.head([[":status", "503"]], true);
        return "pause";
      },
    });
    assert.equal(await measured(failing), true);
  });
});
