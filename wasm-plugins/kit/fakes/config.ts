import type * as Config from "outrigger:runtime/config@0.1.0";
import { runtime } from "./runtime.ts";

export const get: typeof Config.get = (store, key) => {
  runtime.enter();
  return runtime.settings(store).get(key) ?? null;
};

export const select: typeof Config.select = (store, { keys, group, label }) => {
  runtime.enter();
  return [...runtime.settings(store)]
    .filter(([key]) => keys.length === 0 || keys.includes(key))
    .map(([key, content]) => ({ key, content, group, label, tags: [], metadata: [] }));
};
