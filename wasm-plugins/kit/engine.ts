import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Whether the plugin in the folder needs what browsers have, and so the large engine: its world exports `wasi:http`. */
export const needsBrowserApis = (folder: string): boolean =>
  /^\s*export wasi:http\//m.test(readFileSync(join(folder, "wit/world.wit"), "utf8"));
