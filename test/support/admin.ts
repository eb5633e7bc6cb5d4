import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Admin, type AdminOptions, openAdmin } from "../../runtime/admin/admin.ts";
import { healthOf } from "../../runtime/admin/health.ts";
import { configurationSchema } from "../../runtime/config/schema.ts";
import { late } from "../../runtime/late.ts";
import { PluginLogs } from "../../runtime/plugin/plugin-logs.ts";
import type { PluginRegistry } from "../../runtime/plugin/registry.ts";
import { openDeployments } from "../../runtime/plugin-deployments.ts";
import { openPluginDisk, type PluginDisk } from "../../runtime/plugin-disk.ts";
import type { LogLevel } from "../../runtime/telemetry/log.ts";
import { keepLog, openRegistry } from "./plugin-registry.ts";

/** The admin API over toy plugins, with a disk of its own. */
export interface AdminScene extends AsyncDisposable {
  readonly admin: Admin;
  readonly registry: PluginRegistry;
  readonly disk: PluginDisk;
  readonly logs: PluginLogs;
  readonly levels: readonly LogLevel[];
  /** The plugins directory, which is not watched. */
  readonly plugins: string;
}

/** The tokens `admin` and `ci`; `changes` are laid over the options, `pluginSettings` over `plugins` of the configuration. */
export async function openAdminScene(
  changes: Partial<AdminOptions> = {},
  pluginSettings: Readonly<Record<string, unknown>> = {},
): Promise<AdminScene> {
  await using opening = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), "outrigger-admin-"));
  opening.defer(() => rm(root, { recursive: true, force: true }));
  const plugins = join(root, "plugins");
  await mkdir(plugins);
  await mkdir(join(root, "data"));
  const configuration = configurationSchema.parse({ plugins: { directory: plugins, ...pluginSettings } });
  const levels: LogLevel[] = [];
  const logs = new PluginLogs();
  const { log } = keepLog();
  const disk = opening.use(await openPluginDisk(join(root, "data"), log));
  const { registry, metrics } = opening.use(openRegistry({ store: disk.store }));
  const administration = late(() => openDeployments(disk, registry, () => configuration.plugins));
  metrics.counter("outrigger_test_total", "A counter.").inc(3);
  const admin = opening.use(
    await openAdmin({
      http: "127.0.0.1:0",
      tokens: new Map([
        ["admin", "open-sesame"],
        ["ci", "let-me-in"],
      ]),
      version: "1.2.3",
      liveness: () => healthOf({}),
      readiness: () => healthOf({ plugins: { status: "DOWN", details: { reason: "plugin 'x' is not deployed" } } }),
      plugins: administration,
      logs,
      setLogLevel: (level) => levels.push(level),
      metrics,
      log,
      ...changes,
    }),
  );
  const owned = opening.move();
  return { admin, registry, disk, logs, levels, plugins, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
