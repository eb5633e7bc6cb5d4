import assert from "node:assert/strict";
import type { UniformApi } from "../../runtime/plugin/uniform-api.ts";

/** The uniform API of a plugin that must not use it. */
export const unusedApi = new Proxy({} as UniformApi, {
  get: (_target, name) => assert.fail(`the plugin used ${String(name)} of the uniform API`),
});
