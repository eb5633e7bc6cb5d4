import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { type Server, serve, serveRaw } from "../integration/ingress-rig.ts";
import { type Conversation, converse } from "./conversation.ts";
import { serveGrpcParrot } from "./grpc-parrot.ts";
import { ask, type HttpAnswer, type HttpQuestion } from "./http.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "./sidecar.ts";

/** Plugins, and where they are in the sidecar. */
export interface PluginCast {
  /** The files of their modules, by their names. */
  readonly modules: ReadonlyMap<string, string>;
  /** What they ask for beyond being filters. */
  readonly manifests: Readonly<Record<string, object>>;
  /** Filters of the route of a plugin, where they are not just that plugin. */
  readonly chains?: Readonly<Record<string, readonly object[]>>;
  /** A filter of every route, in place of a route of its own. */
  readonly everywhere?: string;
  /** A filter of TCP connections, in place of a route of its own. */
  readonly onTcp?: string;
}

/** A sidecar with the plugins, each on the route `/NAME` to an application, and what they ask. */
export interface PluginScene extends AsyncDisposable {
  readonly sidecar: Sidecar;
  /** Asks the ingress, or another address. */
  ask(path: string, question?: HttpQuestion, address?: string): Promise<HttpAnswer>;
  /** Connects to the filter of TCP connections, which sits before a server that says what it is told. */
  talk(): Promise<Conversation>;
}

export async function openPluginScene(cast: PluginCast): Promise<PluginScene> {
  const { modules, manifests, everywhere, onTcp } = cast;
  await using opening = new AsyncDisposableStack();
  const { path } = opening.use(await temporaryDirectory());
  for (const [name, module] of modules) {
    await writeFile(join(path, "plugins", `${name}.yaml`), stringify({ name, version: "1.0.0", ...manifests[name] }));
    await copyFile(module, join(path, "plugins", `${name}.wasm`));
  }
  const application = opening.use(await serveApplication("stable"));
  const upstreams = Object.entries({
    next: opening.use(await serveApplication("next")),
    people: opening.use(await servePeople()),
    weather: opening.use(await serve((_, response) => response.end("rain"))),
    experts: opening.use(await serveExperts()),
    parrot: opening.use(await serveRaw((socket) => socket.pipe(socket))),
  });
  const parrot = opening.use(await serveGrpcParrot());
  const sidecar = opening.use(
    await startSidecar(path, {
      app: { id: "shop", http: application.address },
      upstreams: {
        ...Object.fromEntries(upstreams.map(([name, { address }]) => [name, { endpoints: [address] }])),
        echo: { endpoints: [parrot.address], protocol: "grpc" },
      },
      plugins: { directory: "./plugins", grants: grantsOf(cast) },
      ingress: {
        ...(everywhere === undefined ? {} : { filters: [everywhere] }),
        routes: routesFor(cast),
        tcp: onTcp === undefined ? [] : [{ listen: "127.0.0.1:0", filters: [onTcp], to: { upstream: "parrot" } }],
      },
    }),
  );
  const open = opening.move();
  return {
    sidecar,
    ask: (path, question, address = sidecar.ingress) => ask(address, path, question),
    talk: () => converse(sidecar.tcp),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

function routesFor({ modules, chains = {}, everywhere, onTcp }: PluginCast): readonly object[] {
  const plugins = [...modules.keys()].filter((name) => name !== onTcp && name !== everywhere);
  return [
    { match: { prefix: "/", headers: { host: "next.example" } }, to: { upstream: "next" } },
    ...plugins.map((plugin) => ({
      match: { prefix: `/${plugin}` },
      filters: chains[plugin] ?? [{ plugin }],
      to: { app: true },
    })),
    { match: { prefix: "/" }, to: { app: true } },
  ];
}

/** All that the plugins ask for. */
function grantsOf({ modules, manifests }: PluginCast): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(manifests).flatMap(([name, manifest]) =>
      modules.has(name) && "capabilities" in manifest ? [[name, manifest.capabilities]] : [],
    ),
  );
}

/** Answers with what it got, or as the end of the path says. */
export const serveApplication = (name: string): Promise<Server> =>
  serve(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method, url = "", rawHeaders, trailers } = request;
    response.setHeader("x-application", name);
    response.setHeader("x-internal-node", "7");
    if (url.endsWith("/missing")) response.statusCode = 404;
    if (url.endsWith("/summed")) {
      response.setHeader("trailer", "x-sum, x-internal-sum");
      response.addTrailers({ "x-sum": "3", "x-internal-sum": "4" });
    }
    if (url.endsWith("/text")) response.end("some text");
    else if (url.endsWith("/slowly")) {
      response.write("some ");
      setImmediate(() => response.end("text"));
    } else response.end(JSON.stringify({ method, url, rawHeaders, trailers, body: Buffer.concat(chunks).toString() }));
  });

/** Knows the tokens of two. */
const servePeople = (): Promise<Server> =>
  serve((request, response) => {
    const [, name] = /^Bearer (ada|bob)$/.exec(request.headers.authorization ?? "") ?? [];
    response.writeHead(name === undefined ? 404 : 200).end(name);
  });

const serveExperts = (): Promise<Server> =>
  serve(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    response.end(request.url === "/judge" ? `judged: ${text}` : `expert ${request.url?.at(-1)}`);
  });
