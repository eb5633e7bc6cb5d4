/** What every component on a server does while the server is away and when it is back. */
import assert from "node:assert/strict";
import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import type { ServerProcess } from "../support/server-process.ts";
import { type Backend, callWith, eventually, placeFor } from "./backend.ts";

/** The time that a caller gives a call. */
const deadlineMs = 20_000;

/** For checks that kill the server. */
export const killsServer = { killsServer: true };

/** The server of a backend that has one. */
export function serverOf(backend: Backend<AsyncDisposable>): ServerProcess {
  assert.ok(backend.server !== undefined, "a check that kills the server has one");
  return backend.server();
}

/** Kills the server, and starts it again once the work is done. */
export async function whileAway<T>(backend: Backend<AsyncDisposable>, work: () => PromiseLike<T>): Promise<T> {
  const server = serverOf(backend);
  await server.kill();
  try {
    return await work();
  } finally {
    await server.start();
  }
}

/** Asks until the call is served; fails at once when it is refused for another reason than that the server is away. */
export async function served<T>(call: () => Promise<T>): Promise<T> {
  const results: T[] = [];
  await eventually("a call is served again", async () => {
    try {
      results.push(await call());
    } catch (error) {
      assert.ok(isUnavailable(error), `expected UNAVAILABLE, not ${String(error)}`);
    }
    return results.length > 0;
  });
  for (const result of results) return result;
  throw new Error("unreachable");
}

/** Registers the checks of an outage; `probe` is any call that asks the server. `needs` is what a backend claims that has one. */
export function outageChecks<Component extends AsyncDisposable>(
  backend: Backend<Component>,
  probe: (component: Component, call: CallContext) => Promise<unknown>,
  needs: readonly string[] = [],
): void {
  const { check } = backend.checks;
  const options = { needs, ...killsServer };
  check("fails with UNAVAILABLE in time while the server is away, and serves when it is back", options, async () => {
    const told: string[] = [];
    const reachability = { down: () => told.push("down"), up: () => told.push("up") };
    await using place = await placeFor(backend);
    await using component = await place.open({ reachability });
    await probe(component, callWith());
    await whileAway(backend, async () => {
      for (let round = 0; round < 2; round++) {
        const calls = Array.from({ length: 5 }, () => probe(component, callWith(AbortSignal.timeout(deadlineMs))));
        for (const outcome of await Promise.allSettled(calls)) {
          assert.ok(outcome.status === "rejected" && isUnavailable(outcome.reason), describe(outcome));
        }
      }
      await eventually("it is told that the server is away", () => told.at(-1) === "down");
    });
    await served(() => probe(component, callWith(AbortSignal.timeout(deadlineMs))));
    await eventually("it is told that the server is back", () => told.at(-1) === "up");
    const downs = told.filter((one) => one === "down").length;
    assert.ok(downs <= 3, `told ${told.join(", ")}`);
  });

  check("is closed in time while the server is away, and not opened but with UNAVAILABLE", options, async () => {
    await using place = await placeFor(backend);
    const closing = await place.open();
    await probe(closing, callWith());
    await whileAway(backend, async () => {
      await closing[Symbol.asyncDispose]();
      await assert.rejects(
        place.open().then((component) => component[Symbol.asyncDispose]()),
        isUnavailable,
      );
    });
    await using component = await place.open();
    await probe(component, callWith());
  });
}

const isUnavailable = (error: unknown): boolean => error instanceof RuntimeError && error.code === "UNAVAILABLE";

const describe = (outcome: PromiseSettledResult<unknown>): string =>
  outcome.status === "rejected" ? `rejected with ${String(outcome.reason)}` : "served without a server";
