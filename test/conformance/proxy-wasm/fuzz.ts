/** Guests that do what nobody would write: the host answers with statuses, or the guest dies of itself. */
import assert from "node:assert/strict";
import { PluginError } from "../../../runtime/plugin/plugin-error.ts";
import { SandboxError } from "../../../runtime/plugin/sandbox/sandbox-error.ts";
import { encodePairs, readPairs } from "../../../runtime/proxy-wasm/pairs.ts";
import { guestText, hostcalls } from "../../support/proxy-wasm-guest.ts";
import {
  type Guest,
  startGuest,
  TestBody,
  TestFields,
  TestServices,
  TestStream,
} from "../../support/proxy-wasm-host.ts";
import { type Random, randomOf } from "../../support/random.ts";
import { assemble } from "../../support/wat.ts";

const callsOfCallback = 12;
const answering = ["proxy_on_request_headers", "proxy_on_request_body", "proxy_on_response_headers"] as const;
/** Texts that lead further into the host than noise does. */
const texts: readonly string[] = [
  "outrigger",
  ":path",
  "x-tenant",
  "request\0headers\0:path",
  "plugin_name",
  "filter_state\0wasm.a",
  "compress",
  "uncompress",
  "sign",
  "verify_signature",
  "expr_create",
  "expr_evaluate",
  "expr_delete",
  "declare_property",
  "set_envoy_filter_state",
  "clear_route_cache",
  "request.path == '/' && size(request.headers) > 2",
  "pkg.Store",
  "Get",
  "",
];
const faults: ReadonlySet<string> = new Set(["trap", "fuel", "memory", "deadline", "configuration", "refused"]);

/** Runs guests whose callbacks call hostcalls at random with numbers, texts and spoiled pairs; fails when the host throws. */
export async function fuzzHostcalls(seed: number, cases: number): Promise<void> {
  const random = randomOf(seed);
  for (let number = 0; number < cases; number++) {
    const wasm = await assemble("guest", randomGuest(random));
    await using guest = await startGuest(wasm, { suspends: number % 4 === 3 }).catch(refusal);
    if (guest !== undefined) await drive(guest);
  }
}

async function drive(guest: Guest): Promise<void> {
  const stream = new TestStream([
    [":method", "GET"],
    [":path", "/"],
    ["x-tenant", "blue"],
  ]);
  const filter = guest.instance.open(stream);
  filter.requestHeaders(false);
  stream.bodies.request = new TestBody("a body");
  filter.requestBody(true);
  stream.maps["response-headers"] = new TestFields([[":status", "200"]]);
  filter.responseHeaders(true);
  filter.end();
  await new Promise((resolve) => setImmediate(resolve));
  for (const error of [...guest.lost, ...(stream.error === undefined ? [] : [stream.error])])
    assert.ok(faults.has(error.fault), `${error.fault}: ${error.message}`);
}

function randomGuest(random: Random): string {
  return guestText((text) => {
    const pairs = [...encodePairs([[random.of(texts), random.of(texts)]])];
    const spoiled = pairs.map((byte) => (random.below(12) === 0 ? random.below(256) : byte));
    const places = [
      text(String.fromCharCode(...pairs)),
      text(String.fromCharCode(...spoiled)),
      text(noise(random, random.below(60))),
      ...Array.from({ length: 4 }, () => text(random.of(texts))),
    ];
    const calls = (): string =>
      Array.from({ length: callsOfCallback }, () => `(drop ${randomCall(random, places)})`).join("\n");
    return {
      on: {
        proxy_on_configure: `${calls()} (i32.const 1)`,
        proxy_on_log: calls(),
        ...Object.fromEntries(answering.map((name) => [name, `${calls()} (i32.const ${random.below(5)})`])),
      },
    };
  });
}

/** A hostcall with pairs of pointer and size where there is room for them, and numbers. */
function randomCall(random: Random, places: readonly string[]): string {
  const [name, count] = random.of(Object.entries(hostcalls));
  const parameters: string[] = [];
  for (let left = count; left > 0; ) {
    if (left > 1 && random.below(2) === 0) {
      parameters.push(random.of(places));
      left -= 2;
    } else {
      parameters.push(`(i32.const ${randomNumber(random)})`);
      left -= 1;
    }
  }
  return `(call $${name} ${parameters.join(" ")})`;
}

const randomNumber = (random: Random): number =>
  random.of([0, 0, 1, 2, 3, 4, 5, 8, 9, 16, 1024, 65_535, 65_536, 131_068, 0x7fffffff, -1, random.below(200_000)]);

const noise = (random: Random, length: number): string =>
  String.fromCharCode(...Array.from({ length }, () => random.below(256)));

/** Spoils bytes of pairs; what is read is what is written, and nothing else is. */
export function fuzzPairs(seed: number, cases: number): void {
  const random = randomOf(seed);
  for (let number = 0; number < cases; number++) {
    const fields = Array.from({ length: random.below(5) }, (): [string, string] => [
      noise(random, random.below(6)).replaceAll("\0", "a"),
      noise(random, random.below(6)),
    ]);
    const bytes = Buffer.from(encodePairs(fields));
    for (let spoiled = random.below(4); spoiled > 0 && bytes.length > 0; spoiled--)
      bytes[random.below(bytes.length)] = random.below(256);
    const size = random.below(bytes.length + 1);
    const read = readPairs(bytes, 0, size);
    if (read !== undefined && read.length > 0)
      assert.ok(bytes.subarray(0, size).equals(encodePairs(read)), `case ${number}`);
  }
}

/** Spoils bytes of a guest's module; it is refused, or starts and serves or dies like any other. */
export async function fuzzModules(seed: number, cases: number): Promise<void> {
  const random = randomOf(seed);
  const good = await assemble("guest", randomGuest(random));
  for (let number = 0; number < cases; number++) {
    const wasm = good.slice();
    for (let spoiled = 1 + random.below(3); spoiled > 0; spoiled--)
      wasm[8 + random.below(wasm.length - 8)] = random.below(256);
    await using guest = await startGuest(wasm, { services: new TestServices() }).catch(refusal);
    if (guest !== undefined) await drive(guest);
  }
}

/** Nothing, for an error by which a guest is refused; any other is the host's. */
function refusal(error: unknown): undefined {
  const isRefusal =
    error instanceof PluginError || error instanceof SandboxError || error instanceof WebAssembly.CompileError;
  if (!isRefusal) throw error;
}
