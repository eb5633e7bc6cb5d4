import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Whether the plugin in the folder is for the large engine, which has what browsers have: its world exports `wasi:http`. */
export const isForBrowsers = (folder: string): boolean =>
  /^\s*export wasi:http\//m.test(readFileSync(join(folder, "wit/world.wit"), "utf8"));
