/**
 * Run by `--import` before a program: writes what the program has loaded by the time it ends to the file in LOADED_MODULES,
 * a path or the name of one of Node's own modules a line.
 */
import { writeFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { isMainThread } from "node:worker_threads";

const file = process.env.LOADED_MODULES;
/** Not in the type of `process`, since Node promises nothing about it. */
const nodesOwn = (): string[] => {
  const list: unknown = Reflect.get(process, "moduleLoadList");
  return Array.isArray(list) ? list.map(String).filter((name) => name.startsWith("NativeModule ")) : [];
};
if (file !== undefined && isMainThread) {
  const ours = new Set(nodesOwn());
  const files: string[] = [];
  registerHooks({
    load: (url, context, next) => {
      if (url.startsWith("file:")) files.push(new URL(url).pathname);
      return next(url, context);
    },
  });
  process.once("exit", () => {
    const own = nodesOwn().filter((name) => !ours.has(name));
    writeFileSync(file, [...files, ...own.map((name) => name.replace("NativeModule ", "node:"))].join("\n"));
  });
}
