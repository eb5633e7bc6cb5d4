import { fuelCosts } from "../../plugin/sandbox/fuel.ts";
import { payForCall } from "../charge.ts";
import type { GuestHost } from "../provider.ts";
import { untilReady, type Waitable } from "./waiting.ts";

/** The resource `wasi:io/poll.pollable`. Nothing is kept for it while nobody waits: dropping it leaves nothing behind. */
export class Pollable implements Disposable {
  readonly #host: GuestHost;
  readonly #awaited: Waitable;

  constructor(host: GuestHost, awaited: Waitable) {
    payForCall(host);
    this.#host = host;
    this.#awaited = awaited;
  }

  ready(): boolean {
    payForCall(this.#host);
    return this.#awaited.isReady;
  }

  block(): void | Promise<void> {
    payForCall(this.#host);
    if (!this.#awaited.isReady) return untilReady(this.#host, [this.#awaited]);
  }

  [Symbol.dispose](): void {
    // It holds nothing.
  }

  /** What each of them looks at. */
  static awaited(pollables: readonly Pollable[]): readonly Waitable[] {
    return pollables.map((pollable) => pollable.#awaited);
  }
}

/** Resolves to the places of those that are ready, as soon as there is one. */
export function poll(host: GuestHost, pollables: readonly Pollable[]): Uint32Array | Promise<Uint32Array> {
  host.pay(fuelCosts.hostcall + pollables.length * fuelCosts.hostcall);
  if (pollables.length === 0) throw new Error("it polled an empty list, which would never end");
  const awaited = Pollable.awaited(pollables);
  const ready = readyAmong(awaited);
  if (ready.length > 0) return ready;
  return untilReady(host, awaited).then(() => readyAmong(awaited));
}

function readyAmong(awaited: readonly Waitable[]): Uint32Array {
  const places: number[] = [];
  for (let at = 0; at < awaited.length; at++) if (awaited[at]?.isReady) places.push(at);
  return Uint32Array.from(places);
}
