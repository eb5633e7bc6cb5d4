/** What an import costs when it loads more than is used; docs/decisions/0005-footprint.md has the figures. */
import { readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import type { OnLoadResult, Plugin } from "esbuild";

/** An esbuild plugin that leaves out of the bundle what its imports would load for nothing. */
export const leanImports: Plugin = {
  name: "lean imports",
  setup(build) {
    const root = `${build.initialOptions.absWorkingDir ?? process.cwd()}/`;
    build.onResolve({ filter: /.*/ }, ({ path, kind, importer }) => {
      if (!isBuiltin(path)) return undefined;
      const name = path.startsWith("node:") ? path : `node:${path}`;
      const isWhole = kind === "require-call" || (kind === "import-statement" && readsAnyName.test(importer));
      // What files share becomes a file of the bundle, and each import between those costs a start: each has its own instead.
      const own = `${name} in ${importer.replace(root, "")}`;
      return { path: own, namespace: isWhole ? "required builtin" : "imported builtin", pluginData: name };
    });
    build.onLoad({ filter: /.*/, namespace: "required builtin" }, ({ pluginData: name }) => ({
      contents: `module.exports = process.getBuiltinModule("${name}");`,
    }));
    build.onLoad({ filter: /.*/, namespace: "imported builtin" }, ({ pluginData: name }) =>
      importedBuiltin(String(name)),
    );

    build.onResolve({ filter: /^[^./]/ }, ({ path, kind, resolveDir }) =>
      kind === "dynamic-import" && !isBuiltin(path)
        ? { path, namespace: "package loaded late", pluginData: resolveDir }
        : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: "package loaded late" }, ({ path, pluginData }) =>
      packageLoadedLate(path, String(pluginData)),
    );

    build.onLoad({ filter: /\/(runtime|components)\/[^.]*\.ts$/ }, ({ path }) => namespaceOfZod(path));
    build.onResolve({ filter: /^prom-client$/ }, () => ({ path: "prom-client", namespace: "slim" }));
    build.onLoad({ filter: /^prom-client$/, namespace: "slim" }, () => ({
      contents: slimPromClient,
      resolveDir: import.meta.dirname,
    }));
    build.onLoad({ filter: /\/pino\/lib\/(transport|multistream)\.js$/ }, () => ({ contents: noTransport }));
  },
};

/** Packages that import what is left out for us; as of a CommonJS module, they read each name where they use it. */
const readsAnyName = /\/node_modules\/@(smithy|aws-sdk|bytecodealliance)\//;

/** Modules of Node's that take megabytes, of which we use functions that an idle sidecar never calls. */
const loadedByFirstCall = new Set(["node:crypto", "node:tls", "node:v8", "node:vm"]);

/**
 * A module of Node's without the exports that load something when they are read. An import statement reads every one of
 * them, and three of node:http load undici: 14 MB and 25 ms.
 */
function importedBuiltin(name: string): OnLoadResult {
  const module: object = process.getBuiltinModule(name) ?? {};
  const exported = Object.entries(Object.getOwnPropertyDescriptors(module)).filter(
    ([key, { get, enumerable }]) => get === undefined && enumerable === true && key !== "default",
  );
  if (loadedByFirstCall.has(name)) return { contents: loadingByFirstCall(name, exported) };
  // A call that is marked as pure is left out when nobody uses what it returns; a property that is read never is.
  return {
    contents: `const module = /* @__PURE__ */ process.getBuiltinModule("${name}");
const exported = (name) => module[name];
export default module;
${exported.map(([key]) => `export const ${key} = /* @__PURE__ */ exported("${key}");`).join("\n")}`,
  };
}

/** Functions that load their module when they are called. Classes are left out, so that an import of one by name does not build. */
function loadingByFirstCall(name: string, exported: readonly [string, PropertyDescriptor][]): string {
  const functions = exported.filter(([key, { value }]) => typeof value === "function" && /^[a-z]/.test(key));
  return `let module;
const load = () => (module ??= process.getBuiltinModule("${name}"));
export default /* @__PURE__ */ new Proxy({}, { get: (_, key) => load()[key] });
${functions.map(([key]) => `export function ${key}(...parameters) { return load().${key}(...parameters); }`).join("\n")}`;
}

/** Gives `await import(…)` of a package the names that Node finds in it; of a CommonJS package esbuild gives the default only. */
async function packageLoadedLate(name: string, resolveDir: string): Promise<OnLoadResult> {
  const namespace: object = await import(name);
  const names = Object.keys(namespace).filter((key) => /^[A-Za-z_$][\w$]*$/.test(key) && key !== "default");
  return {
    resolveDir,
    contents: `import * as loaded from "${name}";
const { default: whole = loaded } = loaded;
export default whole;
export const { ${names.join(", ")} } = { ...loaded, ...whole };`,
  };
}

/** Only the names of a namespace that are used get into the bundle; the object `z` would take all of zod along, 40 languages included. */
function namespaceOfZod(path: string): OnLoadResult {
  const source = readFileSync(path, "utf8");
  return { contents: source.replace('import { z } from "zod";', 'import * as z from "zod";'), loader: "ts" };
}

/** The rest of prom-client pushes to gateways, talks to clusters and watches the process: http, https, cluster, perf_hooks. */
const slimPromClient = `
export { default as Registry } from "prom-client/lib/registry.js";
export { default as Counter } from "prom-client/lib/counter.js";
export { default as Gauge } from "prom-client/lib/gauge.js";
export { default as Histogram } from "prom-client/lib/histogram.js";
`;

/** The sidecar writes its log itself; pino's threads for other destinations stay out. */
const noTransport = `module.exports = () => { throw new Error("the bundle has no transports of pino"); };`;
