import type * as Invoke from "outrigger:runtime/invoke@0.1.0";
import { runtime } from "./runtime.ts";

export const invoke: typeof Invoke.invoke = (call) => {
  runtime.enter();
  return runtime.invoke(call);
};
