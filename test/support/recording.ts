import type { OpenContext } from "../../components/component.ts";

/** What a component logs, and what it tells of its server (`down`, `up`), with the reasons, to be looked at; `changes` are for `openContext`. */
export function recording() {
  const lines: string[] = [];
  const told: string[] = [];
  const reasons: string[] = [];
  const record = (fields: object, message: string): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  const changes = {
    log: { debug: record, info: record, warn: record, error: record },
    reachability: {
      down: (why: string): void => {
        told.push("down");
        reasons.push(why);
      },
      up: (): void => void told.push("up"),
    },
  } satisfies Partial<OpenContext>;
  return { lines, told, reasons, changes };
}
