import assert from "node:assert/strict";
import { before, test } from "node:test";
import { type Guest, TestFields, TestServices, TestStream } from "../support/proxy-wasm-host.ts";
import { builtPlugin, fieldsOf, startPlugin } from "./plugin-sdk-guest.ts";

let wasm: Uint8Array<ArrayBuffer>;
before(async () => {
  wasm = await builtPlugin("rate-limit");
});

const start = (configuration: object | string, services = new TestServices()): Promise<Guest> =>
  startPlugin(wasm, {
    kind: "filter",
    configuration: typeof configuration === "string" ? configuration : JSON.stringify(configuration),
    services,
  });

interface Request {
  readonly key?: string;
  readonly address?: string;
}

/** The status of a request that goes through the filter, with the headers that came with it. */
function request(guest: Guest, { key, address = "10.0.0.1:1000" }: Request = {}): Record<string, string> {
  const stream = new TestStream([[":path", "/"]]);
  if (key !== undefined) stream.maps["request-headers"]?.add("x-api-key", key);
  stream.properties.set("source.address", address);
  const filter = guest.instance.open(stream);
  if (filter.requestHeaders(true) === "continue") {
    stream.maps["response-headers"] = new TestFields([[":status", "200"]]);
    filter.responseHeaders(true);
  }
  filter.end();
  const reply = stream.replies[0];
  if (reply === undefined) return Object.fromEntries(fieldsOf(stream, "response-headers"));
  return { ":status": String(reply.status), details: reply.details, ...Object.fromEntries(reply.headers) };
}

const statuses = (guest: Guest, ...requests: Request[]): string[] =>
  requests.map((one) => request(guest, one)[":status"] ?? "none");

test("lets a burst pass and answers 429 to what is too much, with what the client needs to know", async () => {
  await using guest = await start({ rate: 0.001, burst: 2 });
  assert.deepEqual(request(guest), {
    ":status": "200",
    "x-ratelimit-limit": "2",
    "x-ratelimit-remaining": "1",
    "x-ratelimit-reset": "1000",
  });
  assert.equal(request(guest)["x-ratelimit-remaining"], "0");
  const refused = request(guest);
  assert.match(refused["retry-after"] ?? "", /^(1000|9\d\d)$/);
  assert.match(refused["x-ratelimit-reset"] ?? "", /^(2000|19\d\d)$/);
  delete refused["retry-after"];
  delete refused["x-ratelimit-reset"];
  assert.deepEqual(refused, {
    ":status": "429",
    details: "rate_limited",
    "content-type": "text/plain; charset=utf-8",
    "x-ratelimit-limit": "2",
    "x-ratelimit-remaining": "0",
  });
});

test("lets requests pass again as the bucket fills", async () => {
  await using guest = await start({ rate: 50, burst: 1 });
  let refused = 0;
  while (refused === 0) if (request(guest)[":status"] === "429") refused++;
  while (request(guest)[":status"] === "429") refused++;
  assert.ok(refused > 0);
});

test("counts by address without the port, also for IPv6", async () => {
  await using guest = await start({ rate: 0.001, burst: 1 });
  const addresses = ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1", "[::1]:1", "[::1]:2", "[::2]:1"];
  assert.deepEqual(statuses(guest, ...addresses.map((address) => ({ address }))), [
    "200",
    "429",
    "200",
    "200",
    "429",
    "200",
  ]);
});

test("counts by a header, and by the address where it is missing", async () => {
  await using guest = await start({ rate: 0.001, burst: 1, key: { header: "X-Api-Key" } });
  const requests = [{ key: "a" }, { key: "a" }, { key: "b" }, {}, {}, { address: "10.0.0.2:1" }];
  assert.deepEqual(statuses(guest, ...requests), ["200", "429", "200", "200", "429", "200"]);
});

test("counts all together when told so, and answers with the status it is told", async () => {
  await using guest = await start({ rate: 0.001, burst: 1, key: "all", status: 503 });
  assert.deepEqual(statuses(guest, { address: "10.0.0.1:1" }, { address: "10.0.0.2:1" }), ["200", "503"]);
});

test("counts what passed and what did not", async () => {
  await using guest = await start({ rate: 0.001, burst: 2 });
  statuses(guest, {}, {}, {}, {}, {});
  assert.deepEqual(
    guest.services.series.map(({ type, name, value }) => [type, name, value]),
    [
      ["counter", "rate_limit_allowed_total", 2],
      ["counter", "rate_limit_limited_total", 3],
    ],
  );
});

test("forgets the key that was idle longest when there are too many", async () => {
  await using guest = await start({ rate: 0.001, burst: 1, key: { header: "x-api-key" }, maxKeys: 2 });
  const keys = ["a", "b", "a", "c", "a", "b"].map((key) => ({ key }));
  assert.deepEqual(statuses(guest, ...keys), ["200", "200", "429", "200", "429", "200"]);
});

test("stays within its memory and its budget, however many keys come and however long they are", async () => {
  await using guest = await start({ rate: 0.001, burst: 1, key: { header: "x-api-key" }, maxKeys: 100_000 });
  const tail = "k".repeat(2_000);
  for (let key = 0; key < 30_000; key++) assert.equal(request(guest, { key: `${key}${tail}` })[":status"], "200");
  assert.equal(request(guest, { key: `29999${tail}` })[":status"], "429");
  assert.deepEqual(guest.lost, []);
});

test("refuses a configuration that is not acceptable, with a sentence", async () => {
  const refusals: readonly (readonly [configuration: object | string, sentence: RegExp])[] = [
    ["", /the configuration is not JSON/],
    ["{", /the configuration is not JSON: .* at character 1/],
    [[], /must be an object/],
    [{}, /'rate' must be a number/],
    [{ rate: 0 }, /'rate' must be a number/],
    [{ rate: "10" }, /'rate' must be a number/],
    [{ rate: 1, brust: 3 }, /there is no setting 'brust'; there are: rate, burst, key, status, maxKeys/],
    [{ rate: 1, burst: 0.5 }, /'burst' must be a whole number/],
    [{ rate: 1, key: "x" }, /'key' must be/],
    [{ rate: 1, key: { header: "" } }, /'key' must be/],
    [{ rate: 1, status: 200 }, /'status' must be an HTTP status/],
    [{ rate: 1, maxKeys: 0 }, /'maxKeys' must be a whole number/],
  ];
  for (const [configuration, sentence] of refusals) {
    const services = new TestServices();
    await assert.rejects(start(configuration, services), { fault: "configuration" });
    assert.match(services.lines.join(), sentence);
  }
});
