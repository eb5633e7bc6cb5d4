import { realpathSync, watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { Log } from "../telemetry/log.ts";
import { type LoadedConfiguration, type LoadOptions, loadConfiguration } from "./load.ts";
import { ConfigurationError } from "./mistake.ts";

/** Where configuration comes from: whole, validated snapshots, one at every change, until the signal aborts. */
export interface ConfigSource {
  snapshots(signal: AbortSignal): AsyncIterable<LoadedConfiguration>;
}

/** Quiet time after an edit, so that a file is read once it is whole. */
const settleMs = 100;
/** A look at the file without any event, for file systems that send none. */
const rescanMs = 10_000;

/**
 * The file as it changes: edits, renames over it and swapped symlinks (a Kubernetes ConfigMap) count. A change that does not
 * validate is logged with every mistake and yields nothing; `refused` is told of it, and what the file says next is yielded even when it was yielded before. The snapshot that is in force at the start is not repeated.
 */
export function fileSource(
  current: LoadedConfiguration,
  options: LoadOptions,
  log: Log,
  refused: (why: string) => void = () => {},
): ConfigSource {
  return { snapshots: (signal) => follow(current, options, log, refused, signal) };
}

async function* follow(
  current: LoadedConfiguration,
  options: LoadOptions,
  log: Log,
  tell: (why: string) => void,
  signal: AbortSignal,
): AsyncGenerator<LoadedConfiguration> {
  const { file } = current;
  if (file === undefined) return;
  let inForce = JSON.stringify(comparable(current));
  let refused = "";
  let seen: string | undefined = current.text;
  for await (const _ of changes(file, signal)) {
    // To check what it says takes 20 ms; most looks find what was there before.
    const text = await readFile(file, "utf8").catch(() => undefined);
    if (text !== undefined && text === seen) continue;
    seen = text;
    try {
      const loaded = await loadConfiguration(file, options);
      const meaning = JSON.stringify(comparable(loaded));
      refused = "";
      if (meaning === inForce) continue;
      inForce = meaning;
      yield loaded;
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      if (error.message === refused) continue;
      refused = error.message;
      inForce = "";
      tell(refused);
      log.error(
        { file, mistakes: error.mistakes },
        "the changed configuration file is refused; the one before stays in force",
      );
    }
  }
}

function comparable({ configuration, components }: LoadedConfiguration): unknown {
  return [configuration, Object.values(components).map((kind) => [...kind])];
}

/** Yields after each change of the file or of a link on the way to it has settled, and now and then without one. */
async function* changes(file: string, signal: AbortSignal): AsyncGenerator<void> {
  let wake: () => void = () => {};
  // The file may have changed between its being loaded and its being watched.
  let dirty = true;
  const notify = (): void => {
    dirty = true;
    wake();
  };
  using _watchers = watchFolders(file, notify);
  signal.addEventListener("abort", notify, { once: true });
  while (!signal.aborted) {
    if (!dirty) await wait(rescanMs, signal, (waker) => (wake = waker));
    dirty = false;
    await wait(settleMs, signal, () => {});
    if (!dirty && !signal.aborted) yield;
  }
}

function wait(ms: number, signal: AbortSignal, onWaker: (waker: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    timer.unref();
    signal.addEventListener("abort", done, { once: true });
    onWaker(done);
  });
}

/** Watches the folder of the file, for a file that is renamed over keeps no watch of its own, and the folder of what it links to. */
function watchFolders(file: string, notify: () => void): Disposable {
  const paths = new Set([file]);
  try {
    paths.add(realpathSync(file));
  } catch {
    // A dangling link: the folder of the link itself is watched.
  }
  const watchers = [...paths].map((path) => {
    const watcher = watch(dirname(path), { persistent: false }, (_, name) => {
      if (name === null || name === basename(path) || name.startsWith("..")) notify();
    });
    return watcher.on("error", notify);
  });
  return {
    [Symbol.dispose]: () => {
      for (const watcher of watchers) watcher.close();
    },
  };
}
