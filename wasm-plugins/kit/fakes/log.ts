import type * as Log from "outrigger:runtime/log@0.1.0";
import { runtime } from "./runtime.ts";

export const write: typeof Log.write = (level, message) => {
  runtime.lines.push(`${level}: ${message}`);
};
