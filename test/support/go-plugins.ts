import { glob } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { builtPlugins, modulesIn, pluginSources, run, ToolchainMissing } from "./built-plugins.ts";
import { installedProgram } from "./programs.ts";

/** What the SDK needs for `-buildmode=c-shared`. */
const oldestGo = [1, 24] as const;
const options = {
  cwd: join(pluginSources, "go"),
  env: { GOOS: "wasip1", GOARCH: "wasm", GOFLAGS: "-mod=readonly -buildvcs=false", GOTOOLCHAIN: "local" },
};

/**
 * The modules of test/plugins/go by the names of their folders. Rejects with ProgramMissing where there is no Go that is new
 * enough, and with the compiler's words when it refuses.
 */
export async function goPlugins(): Promise<ReadonlyMap<string, string>> {
  const go = await installedProgram("go", "golang-go", ["/usr/local/go/bin"]);
  const version = (await run(go, ["env", "GOVERSION"], options)).trim();
  if (isOlder(version))
    throw new ToolchainMissing("Go", `${go} is ${version}, and go${oldestGo.join(".")} or later is needed`);
  const directory = await builtPlugins({
    name: "go",
    sources: "go/**/{*.go,go.mod,go.sum}",
    toolchain: version,
    build: (fresh) => build(go, fresh),
  });
  return modulesIn(directory);
}

async function build(go: string, directory: string): Promise<void> {
  await run(go, ["mod", "download"], options).catch((error: Error) => {
    throw new ToolchainMissing("Go", error.message);
  });
  // One module at a time: each needs the linker alone, and other tests need the machine too.
  for await (const main of glob("*/main.go", { cwd: options.cwd })) {
    const name = basename(dirname(main));
    const output = join(directory, `${name}.wasm`);
    await run(go, ["build", "-p", "1", "-buildmode=c-shared", "-o", output, `./${name}`], options);
  }
}

function isOlder(version: string): boolean {
  const [, major = 0, minor = 0] = (/^go(\d+)\.(\d+)/.exec(version) ?? []).map(Number);
  return major < oldestGo[0] || (major === oldestGo[0] && minor < oldestGo[1]);
}
