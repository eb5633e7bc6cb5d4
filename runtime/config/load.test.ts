import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { z } from "zod";
import { catalog } from "../../components/catalog.ts";
import { type LoadOptions, loadConfiguration, parseConfiguration } from "./load.ts";
import { ConfigurationError } from "./mistake.ts";

const memory = async () => ({ config: z.strictObject({ maxBytes: z.int().default(1024) }) });
const options: LoadOptions = {
  known: {
    state: {
      memory,
      sqlite: async () => ({ config: z.strictObject({ path: z.string().optional() }) }),
      redis: async () => ({ config: z.strictObject({ password: z.unknown(), tls: z.unknown().optional() }) }),
    },
    pubsub: { memory },
    config: { memory },
    lock: { memory },
    sequencer: { memory },
    secret: { memory },
    binding: { memory },
    object: {},
  },
  environment: {
    ADMIN_TOKEN: "12345",
    PORT: "9000",
    EMPTY: "",
    AT: "@s3cret",
    COMMENT: "s3 #cret",
    LINES: "a\nb: c",
    QUOTE: '"s3cret',
    ALIAS: "*s3cret",
  },
};

const parse = (text: string) => parseConfiguration(text, "/etc/outrigger/outrigger.yaml", options);

async function mistakesOf(text: string): Promise<string[]> {
  const error = await parse(text).then(
    () => assert.fail("the text was accepted"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConfigurationError);
  return error.mistakes.map(({ path, position, message }) => `${path}@${position?.line ?? "-"}: ${message}`);
}

describe("a configuration", () => {
  it("has a memory component of each kind and no plugins when there is no file", async () => {
    const { configuration, components, file } = await loadConfiguration(undefined, options);
    assert.equal(file, undefined);
    assert.deepEqual(Object.keys(configuration.components.state), ["default"]);
    assert.deepEqual(components.lock.get("default"), {
      type: "memory",
      keyPrefix: undefined,
      settings: { maxBytes: 1024 },
    });
    assert.equal(configuration.plugins.directory, undefined);
    assert.deepEqual(configuration.api.grpc, ["127.0.0.1:34904"]);
  });

  it("resolves its directories against its own folder", async () => {
    const { configuration } = await parse("plugins: { directory: ./plugins }");
    assert.equal(configuration.data.directory, "/etc/outrigger/data");
    assert.equal(configuration.plugins.directory, "/etc/outrigger/plugins");
  });

  it("keeps a component's type and key prefix apart from its settings", async () => {
    const { components } = await parse(
      "components: { state: { orders: { type: sqlite, path: o.db, keyPrefix: appid } } }",
    );
    assert.deepEqual(components.state.get("orders"), {
      type: "sqlite",
      keyPrefix: "appid",
      settings: { path: "o.db" },
    });
  });

  it("keeps the secrets that applications may read apart from a secret store's settings", async () => {
    const { components } = await parse(
      "components: { secret: { vault: { type: memory, allow: [token, orders-*, '*'] }, shut: { type: memory } } }",
    );
    assert.deepEqual(components.secret.get("vault")?.allow, ["token", "orders-*", "*"]);
    assert.deepEqual(components.secret.get("vault")?.settings, { maxBytes: 1024 });
    assert.deepEqual(components.secret.get("shut")?.allow, [], "none unless they are named");
    assert.deepEqual(
      await mistakesOf(`
components:
  secret: { vault: { type: memory, allow: [a*b, ''] }, all: { type: memory, allow: all } }
  state: { orders: { type: memory, allow: [token] } }
`),
      [
        "components.state.orders.allow@4: unknown key; known here: maxBytes",
        "components.secret.vault.allow[0]@3: expected the name of a secret, or the beginning of names and '*', found 'a*b'",
        "components.secret.vault.allow[1]@3: expected the name of a secret, or the beginning of names and '*', found ''",
        "components.secret.all.allow@3: expected a list, found 'all'",
      ],
    );
  });

  it("tells references to secret stores that there are not", async () => {
    const mistakes = await mistakesOf(`
components:
  secret: { vault: { type: memory } }
  state:
    good: { type: redis, password: { secretKeyRef: { store: vault, name: redis } } }
    bad:
      type: redis
      password: { secretKeyRef: { store: valt, name: redis } }
      tls: { keys: [{ secretKeyRef: { store: other, name: key } }] }
    loop: { type: redis, password: &loop { again: *loop } }
`);
    assert.deepEqual(mistakes, [
      "components.state.bad.password.secretKeyRef.store@8: no secret store is named 'valt'; did you mean 'vault'?",
      "components.state.bad.tls.keys[0].secretKeyRef.store@9: no secret store is named 'other'; known here: vault",
    ]);
  });

  it("tells every mistake at once, with its place and the nearest known name", async () => {
    const mistakes = await mistakesOf(`
app: { idd: orders }
log: { level: wran }
components:
  state:
    orders: { type: sqllite }
    stock: { type: memory, maxByte: 5 }
ingress:
  http: localhost
  routes:
    - { match: { prefix: / }, to: { plugn: orders } }
    - { match: { prefix: /, path: / }, to: { upstream: backend } }
`);
    assert.deepEqual(mistakes, [
      "app.idd@2: unknown key; did you mean 'id'?",
      "log.level@3: expected one of trace, debug, info, warn, error, silent, found 'wran'; did you mean 'warn'?",
      "ingress.http@9: expected host:port, such as 127.0.0.1:8080, found 'localhost'",
      "ingress.routes[0].to.plugn@11: unknown key; did you mean 'plugin'?",
      "ingress.routes[1].match@12: expected exactly one of path, prefix and regex, found a mapping",
      "components.state.orders.type@6: 'sqllite' is not a type of state component; did you mean 'sqlite'?",
      "components.state.stock.maxByte@7: unknown key; did you mean 'maxBytes'?",
    ]);
  });

  it("tells names that nothing answers to", async () => {
    const mistakes = await mistakesOf(`
components: { state: { orders: { type: memory } } }
upstreams: { backend: { endpoints: [127.0.0.1:9000] }, outrigger: { endpoints: [127.0.0.1:9000] } }
plugins: { grants: { shop: { state: [order], upstreams: [backend, other] } } }
ingress:
  routes:
    - { match: { prefix: /a }, to: { upstream: bakend } }
    - { match: { prefix: /b }, to: { app: true } }
    - { match: { regex: "(" }, to: [{ upstream: backend, weight: 0 }] }
  tcp:
    - { listen: 127.0.0.1:34904, to: { upstream: backnd } }
admin: { http: 127.0.0.1:2045 }
`);
    assert.deepEqual(mistakes, [
      "ingress.routes[0].to.upstream@7: no upstream is named 'bakend'; did you mean 'backend'?",
      "ingress.routes[1].to.app@8: the route leads to the application, but neither app.http nor app.grpc says where that is",
      "ingress.routes[2].to@9: every weight is 0; expected at least one above it",
      "ingress.routes[2].match.regex@9: Invalid regular expression: /(/: Unterminated group",
      "ingress.tcp[0].to.upstream@11: no upstream is named 'backnd'; did you mean 'backend'?",
      "upstreams.outrigger@3: the name is reserved: to a plugin it means the runtime itself",
      "plugins.grants.shop.state[0]@4: no state component is named 'order'; did you mean 'orders'?",
      "plugins.grants.shop.upstreams[1]@4: no upstream is named 'other'; known here: backend, outrigger",
      "ingress.http@6: 127.0.0.1:2045 is already the address of admin.http",
      "ingress.tcp[0].listen@11: 127.0.0.1:34904 is already the address of api.grpc.0",
    ]);
  });

  it("says where YAML is broken, and that a key stands twice", async () => {
    assert.match((await mistakesOf("a: [1, 2"))[0] ?? "", /not valid YAML/);
    assert.match(
      (await mistakesOf("app: { id: a }\napp: { id: b }"))[0] ?? "",
      /@2: not valid YAML: Map keys must be unique/,
    );
    assert.match((await mistakesOf("- a\n- b"))[0] ?? "", /expected a mapping, found a list/);
  });

  it("takes values from the environment, with defaults, and keeps quoted ones text", async () => {
    const { configuration } = await parse(
      'admin: { http: "127.0.0.1:${ADMIN_PORT:-34000}", token: "${ADMIN_TOKEN}" }\napp: { id: "a${EMPTY:-b}", http: "127.0.0.1:${PORT}" }',
    );
    assert.equal(configuration.admin.http, "127.0.0.1:34000");
    assert.equal(configuration.admin.token, "12345");
    assert.equal(configuration.app.id, "ab");
    assert.equal(configuration.app.http, "127.0.0.1:9000");
    const sized = await parse("api:\n  maxMessageBytes: ${SIZE:-1024}");
    assert.equal(sized.configuration.api.maxMessageBytes, 1024);
  });

  it("takes a value from the environment as text whatever YAML would make of its characters", async () => {
    for (const name of ["AT", "COMMENT", "LINES", "QUOTE", "ALIAS"]) {
      const { configuration } = await parse(`admin:\n  token: \${${name}}`);
      assert.equal(configuration.admin.token, options.environment[name]);
    }
  });

  it("refuses aliases that lead nowhere, or to too much, as mistakes of the file", async () => {
    assert.deepEqual(await mistakesOf("app:\n  id: *s3cret"), [
      "@2: not valid YAML: an alias leads nowhere; a text that begins with * needs quotes",
    ]);
    assert.deepEqual(await mistakesOf("app:\n  id: | s3cret"), ["@2: not valid YAML: Not a YAML token"]);
    const levels = Array.from(
      { length: 8 },
      (_, level) => `k${level + 1}: &k${level + 1} [${`*k${level}, `.repeat(9)}]`,
    );
    assert.match((await mistakesOf(["k0: &k0 [x]", ...levels].join("\n")))[0] ?? "", /not valid YAML: .*alias/);
  });

  it("takes the settings of the API from components: the secrets to read, the route of a binding", async () => {
    const text = (route: string, allow: string): string =>
      `components: { binding: { tick: { type: memory, route: ${route} } }, secret: { env: { type: memory, allow: ${allow} } } }`;
    const { components } = await parse(text("/tick", "[a, b*]"));
    assert.equal(components.binding.get("tick")?.route, "/tick");
    assert.deepEqual(components.secret.get("env")?.allow, ["a", "b*"]);
    assert.deepEqual(await mistakesOf(text("tick", "[a*b]")), [
      "components.secret.env.allow[0]@1: expected the name of a secret, or the beginning of names and '*', found 'a*b'",
      "components.binding.tick.route@1: expected a path of the application, such as /orders, found 'tick'",
    ]);
  });

  it("names an environment variable that is missing, and where", async () => {
    assert.deepEqual(await mistakesOf('admin: { token: "${NO_SUCH}" }'), [
      "admin.token@1: the environment variable NO_SUCH is not set; set it, or give a default as ${NO_SUCH:-value}",
    ]);
  });

  it("never shows what may be a secret", async () => {
    const mistakes = await mistakesOf("admin:\n  token: ${ADMIN_TOKEN}");
    assert.deepEqual(mistakes, ["admin.token@2: expected text, found something else"]);
  });

  it("shows no address and nothing that may hold a secret, wherever it stands", async () => {
    const text = `
app: { http: "http://u:MYSECRETpw@h", grpc: MYSECRETpw@h }
upstreams: { shop: { endpoints: [MYSECRETpw, "http://h"], protocol: "htp://MYSECRETpw" } }
admin: MYSECRETpw
components:
  state:
    a: { type: nats, servers: ["nats://u:MYSECRETpw@h:4222"], seed: [MYSECRETpw], tls: MYSECRETpw }
    b: { type: etcd, endpoints: ["u:MYSECRETpw@h:1", MYSECRETpw], connectTimeoutMs: MYSECRETpw@ }
    c: { type: redis, cluster: ["redis://u:MYSECRETpw@h"] }
    d: { type: redis, sentinel: { master: m, nodes: ["u:MYSECRETpw@h:1"], password: 5150 } }
    e: { type: postgres, url: "postgres://u:MYSECRETpw@h", database: "-----BEGIN MYSECRETpw" }
  pubsub:
    a: { type: kafka, brokers: [MYSECRETpw@h], sasl: MYSECRETpw }
    c: { type: "kafka://u:MYSECRETpw@h" }
    b: { type: kafka, sasl: { mechanism: MYSECRETpw@, username: [], password: 5150 } }
  binding:
    a: { type: http, url: "http://u:MYSECRETpw@h", headers: MYSECRETpw }
    b: { type: http, url: "http://h", headers: { Authorization: 5150 } }
  object:
    a: { type: s3, bucket: some, endpoint: "u:MYSECRETpw@h", accessKeyId: 5150, secretAccessKey: 5150 }
`;
    const error = await parseConfiguration(text, undefined, { ...options, known: catalog }).catch((e: unknown) => e);
    assert.ok(error instanceof ConfigurationError);
    assert.doesNotMatch(error.message, /MYSECRET|5150/);
    const told = new Set(error.mistakes.map(({ path }) => path.replace(/\[\d\].*/, "")));
    for (const place of ["app.http", "upstreams.shop.endpoints", "admin", "components.state.a.servers"])
      assert.ok(told.has(place), place);
    for (const place of ["b.endpoints", "c.cluster", "d.sentinel.nodes"])
      assert.ok(told.has(`components.state.${place}`), place);
    for (const place of ["pubsub.a.brokers", "pubsub.a.sasl", "binding.a.headers", "object.a.endpoint"])
      assert.ok(told.has(`components.${place}`), `${place} in ${error.message}`);
  });

  it("refuses durations that no timer can wait, and schedules and headers that a start would refuse", async () => {
    const text = `
ingress: { routes: [{ match: { prefix: / }, to: { app: true }, timeout: 10000h }] }
components:
  state: { a: { type: redis, connectTimeoutMs: 99999999999 }, __proto__: { type: memory } }
  binding:
    a: { type: cron, schedule: 61 * * * * }
    b: { type: cron, schedule: 0 0 30 2 * }
    c: { type: cron, schedule: '@every 0s' }
    d: { type: cron, schedule: '@daily', timeZone: Mars/X }
    e: { type: http, url: "http://h", headers: { X-A: "a\\r\\nX-B: b" } }
`;
    const error = await parseConfiguration(text, undefined, { ...options, known: catalog }).catch((e: unknown) => e);
    assert.ok(error instanceof ConfigurationError);
    assert.deepEqual(
      error.mistakes.map(({ path, message }) => `${path}: ${message}`),
      [
        "components.state.__proto__: the name is not acceptable: expected any but __proto__",
        "ingress.routes[0].timeout: expected a duration of at most 2147483647ms, about 24 days, found '10000h'",
        "components.state.a.connectTimeoutMs: expected at most 1000000000 milliseconds, about 11 days, found 99999999999",
        "components.binding.a.schedule: expected a schedule that can be read (CronPattern: Invalid value for minute: 61), found '61 * * * *'",
        "components.binding.b.schedule: expected a schedule that comes at some time, found '0 0 30 2 *'",
        "components.binding.c.schedule: expected at least 100 ms, found '@every 0s'",
        "components.binding.d.timeZone: expected a time zone, such as UTC or Europe/Berlin, found 'Mars/X'",
        "components.binding.e.headers.X-A: expected a header that can be sent, but its name or its value has characters that no header may have, found something else",
      ],
    );
  });

  it("says that a file does not exist", async () => {
    await using folder = await temporaryFolder();
    await assert.rejects(loadConfiguration(join(folder.path, "none.yaml"), options), /the file does not exist/);
    await writeFile(join(folder.path, "outrigger.yaml"), "app: { id: shop }");
    const loaded = await loadConfiguration(join(folder.path, "outrigger.yaml"), options);
    assert.equal(loaded.configuration.app.id, "shop");
  });
});

async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "outrigger-config-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
