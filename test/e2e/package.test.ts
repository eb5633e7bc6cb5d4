/** What is published, as `npm run build` makes it: one folder that needs nothing but Node. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { nkeys } from "nats";
import { stringify } from "yaml";
import {
  type ServerReflectionResponse,
  ServerReflectionService,
} from "../../proto/gen/grpc/reflection/v1/reflection.ts";
import { buildSidecar } from "../../scripts/build.ts";
import { json, OutriggerClient } from "../../sdk/index.ts";
import { demoConfiguration, deploy } from "../support/demo.ts";
import { ask, askUntil } from "../support/http.ts";
import { startNats } from "../support/nats-server.ts";
import { startRedis } from "../support/redis-server.ts";
import { serviceClient } from "../support/service-client.ts";
import { onFreePorts, type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const recorder = join(root, "test/support/loaded-modules.ts");

describe("the built package", () => {
  const open = new AsyncDisposableStack();
  let main = "";
  before(async () => {
    // Outside of the checkout there is no node_modules to fall back on.
    const { path } = open.use(await temporaryDirectory());
    await buildSidecar(join(path, "dist"));
    await copyFile(join(root, "package.json"), join(path, "package.json"));
    main = join(path, "dist/runtime/main.js");
  });
  after(() => open.disposeAsync());

  const start = (
    directory: string,
    configuration: Record<string, unknown>,
    environment: Record<string, string> = {},
  ): Promise<Sidecar> => startSidecar(directory, configuration, environment, main);

  it("has the commands", async () => {
    const run = promisify(execFile);
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    assert.equal((await run(main, ["version"])).stdout, `${version}\n`);
    await using directory = await temporaryDirectory();
    const file = join(directory.path, "outrigger.yaml");
    await writeFile(file, "log: { level: loud }\n");
    await assert.rejects(run(main, ["check", file]), { code: 2, stderr: /log\.level.*did you mean|expected one of/s });
    await writeFile(file, stringify(await demoConfiguration()));
    assert.match((await run(main, ["check", file])).stdout, /is good/);
  });

  it("serves the API on every embedded component, with health, reflection and metrics", async () => {
    await using directory = await temporaryDirectory();
    await writeFile(join(directory.path, "settings.yaml"), 'app: [{ key: limit, content: "5" }]\n');
    await writeFile(join(directory.path, "secrets.yaml"), "token: abc\n");
    await using sidecar = await start(directory.path, {
      components: {
        state: { orders: { type: "sqlite" }, cache: { type: "memory" } },
        config: { settings: { type: "file", path: "../settings.yaml" } },
        lock: { jobs: { type: "sqlite" } },
        sequencer: { ids: { type: "sqlite" } },
        secret: {
          variables: { type: "env", allow: ["PATH"] },
          vault: { type: "file", path: "../secrets.yaml", allow: ["to*"] },
        },
        object: { files: { type: "local", path: "files" } },
      },
    });
    assert.equal((await ask(sidecar.admin, "/actuator/health/readiness")).status, 200);
    await using client = new OutriggerClient({ address: sidecar.grpc });
    for (const store of ["orders", "cache"]) {
      await client.state.save({ store, key: "apple", value: json({ stock: 3 }) });
      assert.deepEqual((await client.state.get({ store, key: "apple" }))?.value.json(), { stock: 3 });
    }
    const [limit] = await client.config.get({ store: "settings", keys: ["limit"] });
    assert.equal(limit?.content, "5");
    assert.deepEqual(await client.secret.get({ store: "vault", name: "token" }), { token: "abc" });
    assert.deepEqual(Object.keys(await client.secret.getAll({ store: "variables" })), ["PATH"]);
    await client.file.put({ store: "files", name: "a/b", content: "text" });
    assert.equal((await client.file.read({ store: "files", name: "a/b" }))?.text(), "text");
    assert.match((await ask(sidecar.admin, "/metrics")).text, /^# TYPE outrigger_/m);

    const reflection = serviceClient(ServerReflectionService, sidecar.grpc);
    const stream = reflection.serverReflectionInfo();
    stream.write({
      host: "",
      messageRequest: { $case: "fileContainingSymbol", value: "spec.proto.runtime.v1.Runtime" },
    });
    const [answer]: ServerReflectionResponse[] = await once(stream, "data");
    assert.equal(answer?.messageResponse?.$case, "fileDescriptorResponse");
    stream.end();
    await once(stream.resume(), "end");
    reflection.close();
  });

  it("loads the client of a server that is configured", async () => {
    await using directory = await temporaryDirectory();
    await using redis = await startRedis();
    await using sidecar = await start(directory.path, {
      components: { state: { orders: { type: "redis", url: `redis://${redis.address}` } } },
    });
    await using client = new OutriggerClient({ address: sidecar.grpc });
    await client.state.save({ store: "orders", key: "apple", value: json({ stock: 3 }) });
    assert.deepEqual((await client.state.get({ store: "orders", key: "apple" }))?.value.json(), { stock: 3 });
  });

  it("loads the client of NATS, and what it signs with", async () => {
    await using directory = await temporaryDirectory();
    const user = nkeys.createUser();
    const nkeySeed = new TextDecoder().decode(user.getSeed());
    await using nats = await startNats({ authorization: [`users: [{ nkey: ${user.getPublicKey()} }]`] });
    const component = { type: "nats", servers: [nats.address], nkeySeed };
    await using sidecar = await start(directory.path, {
      components: { state: { orders: component }, pubsub: { events: component }, config: { settings: component } },
    });
    await using client = new OutriggerClient({ address: sidecar.grpc });
    await client.state.save({ store: "orders", key: "apple", value: json({ stock: 3 }) });
    assert.deepEqual((await client.state.get({ store: "orders", key: "apple" }))?.value.json(), { stock: 3 });
    await client.pubsub.publish({ pubsub: "events", topic: "orders", data: "x" });
  });

  it("runs plugins, and follows its configuration file", async () => {
    await using directory = await temporaryDirectory();
    for (const plugin of ["rate-limit", "inventory"]) await deploy(directory.path, plugin);
    const demo = await demoConfiguration();
    await using sidecar = await start(directory.path, demo);
    await ask(sidecar.ingress, "/inventory/apple", { method: "PUT", body: '{"stock":7}' });
    assert.equal(JSON.parse((await ask(sidecar.ingress, "/inventory/apple")).text).stock, 7);
    const routes = [{ match: { prefix: "/stock" }, to: { plugin: "inventory" } }];
    await writeFile(join(directory.path, "outrigger.yaml"), stringify(onFreePorts({ ...demo, ingress: { routes } })));
    await askUntil(sidecar.ingress, "/inventory/apple", ({ status }) => status === 404);
  });

  /** What a sidecar with that configuration has loaded once it serves: files of the sources, and modules of Node's. */
  const loadedBy = async (directory: string, configuration: Record<string, unknown>): Promise<string[]> => {
    const record = join(directory, "loaded");
    const environment = { NODE_OPTIONS: `--import ${recorder}`, LOADED_MODULES: record };
    await using sidecar = await start(directory, configuration, environment);
    assert.equal((await ask(sidecar.admin, "/actuator/health/readiness")).status, 200);
    await sidecar.stop("SIGTERM");
    const loaded = (await readFile(record, "utf8")).split("\n");
    const chunks = loaded.filter((path) => path.endsWith(".js"));
    assert.ok(chunks.length > 1, "the bundle was seen");
    // The source map beside a part of the bundle names the files that it is made of.
    const maps = await Promise.all(chunks.map((path) => readFile(`${path}.map`, "utf8")));
    const sources = maps
      .flatMap((map): string[] => JSON.parse(map).sources)
      .map((source) => source.replace(/^.*?(?=(?:runtime|components|proto)\/|node_modules\/)(?:node_modules\/)?/, ""));
    assert.ok(sources.includes("runtime/runtime.ts"));
    return [...sources, ...loaded.filter((name) => name.startsWith("node:"))];
  };
  const ofPlugins =
    /^runtime\/(proxy-wasm|wasm-component|plugin-(deployments|delivery)\.|admin\/(routes|plugin-|wasm-|deploy-|openapi|schemas)|plugin\/(sandbox\/(?!fuel|module-limit|sandboxed-component)|rollout\/(?!policy|rollout-metrics)|source\/|artifact|departures|deploy\.|deployments|early-files|layotto-deployments|manifest|open-slot|operate|packed-manifest|plugin-slot|pool|prepare|refusal|release|restore|running-versions|uploads))/;

  it("loads nothing for what is not configured", async () => {
    await using directory = await temporaryDirectory();
    const loaded = await loadedBy(directory.path, {});
    const mustNot =
      /^(@grpc|@bufbuild\/protobuf\/dist\/esm\/(?!wire\/|proto-int64)|protobufjs|ioredis|pg|@aws-sdk|@smithy|prom-client\/(index|lib\/(cluster|pushgateway|defaultMetrics)))|^components\/.*(sqlite|redis|postgres|s3)|^runtime\/plugin\/watch|descriptor/;
    const mustNotOfNode = /^node:(sqlite|https|http2|tls|zlib|crypto|internal\/deps\/undici\/undici)$/;
    assert.deepEqual(
      loaded.filter((name) => mustNot.test(name) || mustNotOfNode.test(name) || ofPlugins.test(name)),
      [],
    );
  });

  it("loads nothing of plugins before there is one, though it waits for one", async () => {
    await using directory = await temporaryDirectory();
    await mkdir(join(directory.path, "plugins"), { recursive: true });
    const loaded = await loadedBy(directory.path, { plugins: { directory: join(directory.path, "plugins") } });
    assert.ok(loaded.includes("runtime/plugin/watch.ts"));
    assert.deepEqual(
      loaded.filter((name) => ofPlugins.test(name)),
      [],
    );
  });
});
