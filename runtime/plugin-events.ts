import { setTimeout as delay } from "node:timers/promises";
import { messageOf } from "../components/thrown.ts";
import type { PubSubBlock } from "./api/pubsub.ts";
import { unlessAborted } from "./api/unless-aborted.ts";
import type { PluginUse } from "./plugin/contract.ts";
import type { Schedule, Subscription } from "./plugin/declarations.ts";
import type { Manifest } from "./plugin/manifest.ts";
import type { Log } from "./telemetry/log.ts";
import type { Metrics } from "./telemetry/metrics.ts";

export interface PluginEventsOptions {
  readonly appId: string;
  readonly pubsub: PubSubBlock;
  /** A use of the plugin with its own configuration. */
  readonly use: (plugin: string) => Promise<PluginUse>;
  readonly log: Log;
  readonly metrics: Metrics;
}

const firstRetryMs = 100;
const longestRetryMs = 5_000;
/** How long a tick that a plugin has may take once its schedule ends; as long as an event may. */
const drainMs = 5_000;
const readinessMs = 100;

/**
 * Brings events and ticks to the services that declare them, for as long as a version that does is the stable one. Disposing
 * ends all, and waits for what is being delivered.
 */
export class PluginEvents implements AsyncDisposable {
  readonly #options: PluginEventsOptions;
  /** By plugin and declaration. */
  readonly #kept = new Map<string, Map<string, Kept>>();
  readonly #ending = new Set<Promise<void>>();
  readonly #deliveries;
  #isClosed = false;

  constructor(options: PluginEventsOptions) {
    this.#options = options;
    const help = "Tries to bring a service an event, or a tick, by what came of them.";
    const labels = ["plugin", "of", "outcome"];
    this.#deliveries = options.metrics.counter("outrigger_plugin_deliveries_total", help, labels);
  }

  /** Goes on with what the manifest declares: what is declared as before stays, the rest begins or ends. */
  declare(plugin: string, manifest: Manifest | undefined): void {
    if (this.#isClosed) return;
    const before = this.#kept.get(plugin) ?? new Map<string, Kept>();
    const now = new Map<string, Kept>();
    for (const [key, begin] of this.#declared(plugin, manifest)) {
      now.set(key, before.get(key) ?? new Kept({ plugin, begin, ...this.#options }));
    }
    if (now.size === 0) this.#kept.delete(plugin);
    else this.#kept.set(plugin, now);
    for (const [key, kept] of before) if (!now.has(key)) this.#end(kept);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const declared of this.#kept.values()) for (const kept of declared.values()) this.#end(kept);
    this.#kept.clear();
    while (this.#ending.size > 0) await Promise.all(this.#ending);
  }

  #end(kept: Kept): void {
    const ended: Promise<void> = kept[Symbol.asyncDispose]()
      .catch((error: unknown) => this.#options.log.error({ err: error }, "events of a plugin could not be ended"))
      .finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }

  *#declared(plugin: string, manifest: Manifest | undefined): Generator<readonly [key: string, begin: Begin]> {
    for (const one of manifest?.subscriptions ?? []) yield [JSON.stringify(one), this.#subscription(plugin, one)];
    for (const one of manifest?.schedules ?? []) yield [JSON.stringify(one), this.#schedule(one)];
  }

  #subscription(plugin: string, subscription: Subscription): Begin {
    const { appId, pubsub, log } = this.#options;
    // Neither name has a slash. The plugin of each sidecar of the application is one of the group; the application is not.
    const group = `${appId}/${plugin}`;
    const { pubsub: component, topic, deadLetterTopic, maxAttempts } = subscription;
    const metadata = {
      ...subscription.metadata,
      ...(maxAttempts === undefined ? {} : { maxAttempts: `${maxAttempts}` }),
    };
    const wanted = {
      pubsub: component,
      topic,
      metadata,
      group,
      ...(deadLetterTopic === undefined ? {} : { deadLetterTopic }),
    };
    return async (use, ended) => {
      const { deliverEvent } = await import("./plugin-delivery.ts");
      return pubsub.subscribe(wanted, async (_event, signal, message) => {
        await untilReady(use, ended);
        if (ended.aborted) return givenBack(signal);
        try {
          const outcome = await deliverEvent({ use, appId, log }, subscription, message, signal);
          this.#deliveries.labels(plugin, "event", outcome).inc();
          return outcome;
        } catch (error) {
          if (ended.aborted) return givenBack(signal);
          this.#deliveries.labels(plugin, "event", "retry").inc();
          if (!signal.aborted)
            log.warn(
              { plugin: use.plugin, pubsub: component, topic, id: message.id },
              `an event of the topic '${topic}' is not taken: ${messageOf(error)}`,
            );
          throw error;
        }
      });
    };
  }

  #schedule(schedule: Schedule): Begin {
    const { appId, log } = this.#options;
    const { name, cron, timeZone } = schedule;
    return async (use) => {
      const [{ Ticking }, { deliverTick }] = await Promise.all([
        import("../components/ticking.ts"),
        import("./plugin-delivery.ts"),
      ]);
      const tick = async (dueMs: number, stopped: AbortSignal): Promise<void> => {
        using grace = new Grace(stopped, drainMs);
        const { signal } = grace;
        try {
          await deliverTick({ use, appId, log }, schedule, dueMs, signal);
          this.#deliveries.labels(use.plugin, "tick", "success").inc();
        } catch (error) {
          this.#deliveries.labels(use.plugin, "tick", "drop").inc();
          if (!signal.aborted)
            log.warn({ plugin: use.plugin, schedule: name }, `a tick of '${name}' is not taken: ${messageOf(error)}`);
          throw error;
        }
      };
      return new Ticking({ schedule: cron, timeZone, tick, log });
    };
  }
}

/** Begins what was declared; the signal aborts when it is to end. */
type Begin = (use: PluginUse, ended: AbortSignal) => Promise<AsyncDisposable>;

interface KeptOptions {
  readonly plugin: string;
  readonly begin: Begin;
  readonly use: (plugin: string) => Promise<PluginUse>;
  readonly log: Log;
}

/** One subscription or schedule: begun again and again until it can be, and then kept until it is disposed. */
class Kept implements AsyncDisposable {
  readonly #options: KeptOptions;
  readonly #ending = new AbortController();
  readonly #running: Promise<AsyncDisposableStack>;

  constructor(options: KeptOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await (await this.#running).disposeAsync();
  }

  async #run(): Promise<AsyncDisposableStack> {
    const { plugin, log } = this.#options;
    const { signal } = this.#ending;
    for (let waitMs = firstRetryMs; !signal.aborted; waitMs = Math.min(2 * waitMs, longestRetryMs)) {
      try {
        return await this.#begun();
      } catch (error) {
        const message = `plugin '${plugin}' cannot be brought its events yet: ${messageOf(error)}`;
        if (waitMs === firstRetryMs && !signal.aborted) log.warn({ plugin }, message);
        else log.debug({ plugin }, message);
      }
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
    return new AsyncDisposableStack();
  }

  async #begun(): Promise<AsyncDisposableStack> {
    const { plugin, use, begin } = this.#options;
    await using opening = new AsyncDisposableStack();
    const used = opening.use(await use(plugin));
    this.#ending.signal.throwIfAborted();
    opening.use(await begin(used, this.#ending.signal));
    return opening.move();
  }
}

/** Resolves when the plugin can take something, or the signal aborts: to find it crashed is no try of an event. */
async function untilReady(use: PluginUse, ended: AbortSignal): Promise<void> {
  while (!use.ready && !ended.aborted) {
    await delay(readinessMs, undefined, { signal: ended }).catch(() => undefined);
  }
}

/** Of an event that is not taken any more: it counts as no try, and the broker has it back when the subscription has ended. */
const givenBack = (signal: AbortSignal): Promise<never> => unlessAborted(new Promise<never>(() => undefined), signal);

/** A signal that aborts that long after another. */
class Grace implements Disposable {
  readonly #after: AbortSignal;
  readonly #ms: number;
  readonly #over = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(after: AbortSignal, ms: number) {
    this.#after = after;
    this.#ms = ms;
    after.addEventListener("abort", this.#begin, { once: true });
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  [Symbol.dispose](): void {
    this.#after.removeEventListener("abort", this.#begin);
    clearTimeout(this.#timer);
  }

  readonly #begin = (): void => {
    this.#timer = setTimeout(() => this.#over.abort(this.#after.reason), this.#ms);
  };
}
