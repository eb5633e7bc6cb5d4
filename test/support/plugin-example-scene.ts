import { generateKeyPairSync } from "node:crypto";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { handleBidiStreamingCall, handleUnaryCall } from "@grpc/grpc-js";
import { Server as GrpcServer, Metadata, ServerCredentials, status } from "@grpc/grpc-js";
import { stringify } from "yaml";
import { parseManifest } from "../../runtime/plugin/manifest.ts";
import { type Server, serve, serveRaw } from "../integration/ingress-rig.ts";
import { type Conversation, converse } from "./conversation.ts";
import { ask, type HttpAnswer, type HttpQuestion } from "./http.ts";
import type { PluginExample } from "./plugin-examples.ts";
import { serveApplication } from "./plugin-scene.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "./sidecar.ts";

const onTcp = "tcp";
const service = "events";

/** A sidecar with all examples of the AssemblyScript library, each on the route `/NAME` to an application, and what they ask. */
export interface PluginExampleScene extends AsyncDisposable {
  readonly sidecar: Sidecar;
  /** Whose public key `signatures` takes for signatures of requests, and whose private one it signs with. */
  readonly keys: { readonly theirs: KeyPair; readonly ours: KeyPair };
  /** What `reports` was told. */
  readonly reports: readonly string[];
  /** What `feed` was told on its streams. */
  readonly told: readonly string[];
  ask(path: string, question?: HttpQuestion): Promise<HttpAnswer>;
  /** Connects to `tcp`, which sits before a server that says what it is told. */
  talk(): Promise<Conversation>;
}

type KeyPair = ReturnType<typeof newKeys>;

export async function openPluginExampleScene(examples: readonly PluginExample[]): Promise<PluginExampleScene> {
  await using opening = new AsyncDisposableStack();
  const { path } = opening.use(await temporaryDirectory());
  const keys = { theirs: newKeys(), ours: newKeys() };
  const grants: Record<string, object> = {};
  for (const { module, manifests } of examples)
    for (const file of manifests) {
      const text = await readFile(file, "utf8");
      const { name, capabilities, subscriptions } = parseManifest(text, file, basename(file, ".yaml"));
      grants[name] = { ...capabilities, pubsub: subscriptions.map(({ pubsub }) => pubsub) };
      await writeFile(join(path, "plugins", `${name}.yaml`), name === "signatures" ? withKeys(text, keys) : text);
      await copyFile(module, join(path, "plugins", `${name}.wasm`));
    }
  const reports: string[] = [];
  const told: string[] = [];
  const application = opening.use(await serveApplication("stable"));
  const http = {
    next: opening.use(await serveApplication("next")),
    people: opening.use(await servePeople()),
    weather: opening.use(await serve((_, response) => response.end("rain"))),
    reports: opening.use(await serveReports(reports)),
    parrot: opening.use(await serveRaw((socket) => socket.pipe(socket))),
  };
  const shop = opening.use(await serveShop(told));
  const sidecar = opening.use(
    await startSidecar(path, {
      app: { id: "shop", http: application.address },
      components: { state: { orders: { type: "memory" } }, pubsub: { events: { type: "memory" } } },
      upstreams: {
        ...Object.fromEntries(Object.entries(http).map(([name, { address }]) => [name, { endpoints: [address] }])),
        prices: { endpoints: [shop.address], protocol: "grpc" },
        feed: { endpoints: [shop.address], protocol: "grpc" },
      },
      plugins: { directory: "./plugins", grants },
      ingress: {
        routes: [
          { match: { prefix: "/routing", headers: { "x-version": "next" } }, to: { upstream: "next" } },
          ...examples.filter(({ name }) => name !== onTcp).map(({ name }) => routeOf(name)),
        ],
        tcp: [{ listen: "127.0.0.1:0", filters: [onTcp], to: { upstream: "parrot" } }],
      },
    }),
  );
  const open = opening.move();
  return {
    sidecar,
    keys,
    reports,
    told,
    ask: (target, question) => ask(sidecar.ingress, target, question),
    talk: () => converse(sidecar.tcp),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** Filters of the route of an example, where they are not just that plugin. */
function routeOf(name: string): object {
  if (name === service) return { match: { prefix: `/${name}` }, to: { plugin: name } };
  const filters: Readonly<Record<string, readonly object[]>> = {
    configuration: [{ plugin: name }, { plugin: name, configuration: { greeting: "good day" } }],
    properties: [{ plugin: name }, { plugin: name, configuration: "once more" }],
  };
  return { match: { prefix: `/${name}` }, filters: filters[name] ?? [{ plugin: name }], to: { app: true } };
}

const withKeys = (manifest: string, { theirs, ours }: PluginExampleScene["keys"]): string =>
  manifest + stringify({ configuration: { theirs: theirs.publicKey, ours: ours.privateKey } });

const newKeys = () =>
  generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });

/** Knows the token of one, says so in a body with trailers, and never answers about another. */
const servePeople = (): Promise<Server> =>
  serve((request, response) => {
    const { authorization } = request.headers;
    if (authorization === "Bearer slow") return;
    if (authorization !== "Bearer ada") {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { trailer: "x-since" });
    request.resume().once("end", () => {
      response.addTrailers({ "x-since": `${request.trailers["x-asked-by"]} 1815` });
      response.end("ada");
    });
  });

const serveReports = (reports: string[]): Promise<Server> =>
  serve(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    reports.push(`${request.url} ${text}`);
    response.end(`filed ${text}`);
  });

const identity = (bytes: Buffer): Buffer => bytes;
const methodOf = (path: string, streams: boolean) => ({
  path,
  requestStream: streams,
  responseStream: streams,
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
});

/** `shop.Prices/Get` knows the price of an apple, `shop.Feed/Talk` echoes what it is told, and notes that. */
async function serveShop(told: string[]): Promise<{ readonly address: string } & AsyncDisposable> {
  const get: handleUnaryCall<Buffer, Buffer> = ({ request, metadata }, answer) => {
    const sku = request.subarray(2).toString();
    if (sku !== "apple")
      return answer({ code: status.NOT_FOUND, details: `no '${sku}' in ${metadata.get("x-shop")[0]}` });
    answer(null, Buffer.from([0x10, 0xac, 0x02]));
  };
  const talk: handleBidiStreamingCall<Buffer, Buffer> = (stream) => {
    let count = 0;
    const first = new Metadata();
    first.set("x-server", `a shop, to ${stream.metadata.get("x-client")[0]}`);
    stream.sendMetadata(first);
    stream.on("cancelled", () => told.push("(cancelled)"));
    stream.on("data", (message: Buffer) => {
      count += 1;
      told.push(message.toString());
      stream.write(message);
    });
    stream.on("end", () => {
      told.push("(end)");
      const last = new Metadata();
      last.set("x-said", String(count));
      stream.end(last);
    });
  };
  const server = new GrpcServer();
  server.addService({ get: methodOf("/shop.Prices/Get", false) }, { get });
  server.addService({ talk: methodOf("/shop.Feed/Talk", true) }, { talk });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { address: `127.0.0.1:${port}`, [Symbol.asyncDispose]: async () => server.forceShutdown() };
}
