/** A program for `node --trace-wasm-compilation-times`: says where the first call of a component begins, and where it ends. */
import {
  compileGuest,
  openCompiler,
  openUniformApi,
  throughEngine,
  twoStateCalls,
} from "../bench/support/component-calls.ts";

await using uniform = await openUniformApi();
await using compiler = openCompiler();
const guest = await compileGuest(compiler, await twoStateCalls(), uniform.api);
const calls = throughEngine(await guest.start());
console.log("the first call begins");
await calls(1);
console.log("the first call ends");
