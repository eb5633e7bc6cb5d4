import type * as Plugin from "outrigger:runtime/plugin@0.1.0";
import { runtime } from "./runtime.ts";

export const configuration: typeof Plugin.configuration = () =>
  typeof runtime.configuration === "string" ? runtime.configuration : JSON.stringify(runtime.configuration);
