import type * as Sequencer from "outrigger:runtime/sequencer@0.1.0";
import { runtime } from "./runtime.ts";

export const next: typeof Sequencer.next = (store, key) => {
  runtime.enter();
  const counters = runtime.counters(store);
  const number = (counters.get(key) ?? 0) + 1;
  counters.set(key, number);
  return number;
};
