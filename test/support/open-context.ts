import type { OpenContext } from "../../components/component.ts";

const silent = (): void => undefined;

/** What a component is handed when it is opened alone: no secret store, nobody who watches whether it is reachable. */
export const openContext = (name: string, changes: Partial<OpenContext> = {}): OpenContext => ({
  name,
  dataDirectory: "unused",
  log: { debug: silent, info: silent, warn: silent, error: silent },
  reachability: { down: silent, up: silent },
  secret: async (setting) => {
    if (typeof setting === "string") return setting;
    throw new Error("a component that is opened alone has no secret store");
  },
  ...changes,
});
