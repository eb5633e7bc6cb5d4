/** `node --import ./kit/fakes/register.ts`: gives a plugin in plain Node the imports that the sidecar would. */
import { registerHooks } from "node:module";

const fakes: Readonly<Record<string, string>> = {
  "outrigger:runtime": "plugin state pubsub config lock sequencer secrets invoke binding log",
  "wasi:random": "random",
};

registerHooks({
  resolve(specifier, context, next) {
    const [, name = "", part = ""] = /^((?:outrigger|wasi|wasmcloud):[a-z-]+)\/([a-z-]+)/.exec(specifier) ?? [];
    if (name === "") return next(specifier, context);
    if (fakes[name]?.split(" ").includes(part) !== true)
      throw new Error(`the tests have nothing for '${specifier}'; add it to kit/fakes`);
    return { url: new URL(`./${part}.ts`, import.meta.url).href, shortCircuit: true };
  },
});
