/**
 * What does a guest add to a request? Streams with their headers go through a filter in WebAssembly, through the same filter in
 * TypeScript and through none, in turns, in one process and without sockets. And how long does a large module take to start?
 */
import type { FilterAction, StreamFilter, StreamHost } from "../../runtime/plugin/contract.ts";
import { openLifecycleMetrics } from "../../runtime/plugin/lifecycle-metrics.ts";
import { HeaderList } from "../../runtime/proxy/headers.ts";
import { proxyWasmEngine } from "../../runtime/proxy-wasm/engine.ts";
import { Metrics } from "../../runtime/telemetry/metrics.ts";
import { guestText } from "../support/proxy-wasm-guest.ts";
import { type Guest, programOf, startGuest, TestServices } from "../support/proxy-wasm-host.ts";
import { sandboxed } from "../support/sandboxed.ts";
import { assemble } from "../support/wat.ts";
import { Figures } from "./support/figures.ts";
import { largeGuest } from "./support/large-guest.ts";
import { quantile } from "./support/rounds.ts";

const goals = { emptyMicroseconds: 0.5, headersMicroseconds: 3, instantiateMs: 5 };
const rounds = { warmUp: 3, counted: 15, streams: 100_000 };
const largeBytes = 3_500_000;

const request = [":method", "GET", ":path", "/orders/17", ":authority", "shop", ":scheme", "http", "x-tenant", "blue"];

/** A stream of the data plane with nothing around it. */
class BareStream implements StreamHost {
  readonly fields = HeaderList.ofFlat(request);

  headers(map: string): HeaderList | undefined {
    return map === "request-headers" ? this.fields : undefined;
  }

  body(): undefined {
    return undefined;
  }

  property(): undefined {
    return undefined;
  }

  setProperty(): boolean {
    return true;
  }

  resume(): void {}
  settle(): void {}
  respond(): void {}
  reset(): void {}
  clearRoute(): void {}

  answer(): undefined {
    return undefined;
  }

  failed(error: Error): void {
    throw error;
  }
}

type Open = (host: BareStream) => StreamFilter | undefined;

/** Runs so many streams; gives microseconds of CPU for each. */
function costOf(open: Open): number {
  const before = process.cpuUsage();
  for (let count = 0; count < rounds.streams; count++) {
    const stream = new BareStream();
    const filter = open(stream);
    filter?.requestHeaders(true);
    filter?.end();
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / rounds.streams;
}

/** The filter in TypeScript: reads two fields and sets one. */
class HeaderFilter implements StreamFilter {
  readonly #host: BareStream;

  constructor(host: BareStream) {
    this.#host = host;
  }

  requestHeaders(): FilterAction {
    const { fields } = this.#host;
    const tenant = fields.get("x-tenant");
    if (fields.get(":path") !== undefined && tenant !== undefined) fields.set("x-seen", tenant);
    return "continue";
  }

  requestBody(): FilterAction {
    return "continue";
  }

  requestTrailers(): FilterAction {
    return "continue";
  }

  responseHeaders(): FilterAction {
    return "continue";
  }

  responseBody(): FilterAction {
    return "continue";
  }

  responseTrailers(): FilterAction {
    return "continue";
  }

  end(): void {}
}

/** The same filter as a guest, which frees nothing but begins anew at the same place each time. */
const headerGuest = (): string =>
  guestText((text) => ({
    on: {
      proxy_on_request_headers: `
        (global.set $top (i32.const 32768))
        (drop (call $proxy_get_header_map_value (i32.const 0) ${text(":path")} (i32.const 0) (i32.const 4)))
        (drop (call $proxy_get_header_map_value (i32.const 0) ${text("x-tenant")} (i32.const 0) (i32.const 4)))
        (drop (call $proxy_replace_header_map_value (i32.const 0) ${text("x-seen")} (i32.load (i32.const 0)) (i32.load (i32.const 4))))
        (i32.const 0)`,
    },
  }));

const emptyGuest = (): string => guestText(() => ({ on: { proxy_on_request_headers: "(i32.const 0)" } }));

/** With the measures of a running sidecar. */
const start = async (name: string, text: string): Promise<Guest> => {
  using metrics = openLifecycleMetrics(new Metrics(), () => []);
  return startGuest(await assemble(name, text), { timings: metrics.timingsOf(name) });
};

async function compareFilters(figures: Figures): Promise<void> {
  await using empty = await start("empty", emptyGuest());
  await using headers = await start("headers", headerGuest());
  const contenders: Readonly<Record<"none" | "empty" | "headers" | "typescript", Open>> = {
    none: () => undefined,
    empty: (host) => empty.instance.open(host),
    headers: (host) => headers.instance.open(host),
    typescript: (host) => new HeaderFilter(host),
  };
  const costs = { none: [], empty: [], headers: [], typescript: [] } as Record<keyof typeof contenders, number[]>;
  for (let round = 0; round < rounds.warmUp + rounds.counted; round++) {
    for (const name of ["none", "empty", "headers", "typescript"] as const) {
      const cost = costOf(contenders[name]);
      if (round >= rounds.warmUp) costs[name].push(cost);
    }
  }
  const added = (name: "empty" | "headers" | "typescript"): number[] =>
    costs[name].map((cost, round) => cost - (costs.none[round] ?? 0));
  const inMicroseconds = (value: number): string => `${value.toFixed(2)} µs`;
  for (const [what, name, goal] of [
    ["an empty filter adds to a request", "empty", goals.emptyMicroseconds],
    ["a filter that reads two headers and sets one adds to a request", "headers", goals.headersMicroseconds],
  ] as const) {
    const values = added(name);
    const value = quantile(values);
    const spread = [quantile(values, 0), quantile(values, 1)] as const;
    figures.add({ what, measured: inMicroseconds(value), value, spread, goal, format: inMicroseconds });
  }
  const ratios = added("headers").map((cost, round) => cost / (added("typescript")[round] ?? 1));
  figures.add({
    what: "the same filter against one in TypeScript",
    measured: inMicroseconds(quantile(added("headers"))),
    against: `TypeScript ${inMicroseconds(quantile(added("typescript")))}`,
    value: quantile(ratios),
  });
}

async function timeStarts(figures: Figures): Promise<void> {
  const wasm = largeGuest(largeBytes);
  const times: number[] = [];
  const program = programOf(await sandboxed(wasm));
  for (let round = 0; round < rounds.warmUp + rounds.counted; round++) {
    const startedAt = performance.now();
    await using _instance = await proxyWasmEngine().start(program, new TestServices(), () => undefined);
    if (round >= rounds.warmUp) times.push(performance.now() - startedAt);
  }
  const inMs = (value: number): string => `${value.toFixed(2)} ms`;
  figures.add({
    what: `to instantiate, start and configure a module of ${(wasm.byteLength / 1e6).toFixed(1)} MB that is compiled`,
    measured: inMs(quantile(times)),
    value: quantile(times),
    spread: [quantile(times, 0), quantile(times, 1)],
    goal: goals.instantiateMs,
    format: inMs,
  });
}

const figures = new Figures("guests of Proxy-Wasm");
await compareFilters(figures);
await timeStarts(figures);
figures.finish();
