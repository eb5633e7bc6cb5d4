import type * as Binding from "outrigger:runtime/binding@0.1.0";
import { runtime } from "./runtime.ts";

export const invoke: typeof Binding.invoke = (name, operation, data, metadata) => {
  runtime.enter();
  return { data: runtime.binding({ name, operation, data, metadata }), metadata: [] };
};
