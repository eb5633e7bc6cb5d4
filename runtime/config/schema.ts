/** The configuration file: every key, its meaning and its default. The reference page is generated from here. */
import { z } from "zod";
import { metricTags } from "./metric-tags.ts";
import { pluginSignatures, pluginSources } from "./plugin-sources.ts";
import { byteSize, duration, failPolicy, name, pluginGrants } from "./scalars.ts";

export type { Capabilities } from "./scalars.ts";

// A schema is used once: to compile it first takes 6 ms of a start and saves nothing.
z.config({ jitless: true });

const portPattern = /^(\[[0-9a-fA-F:.]+\]|[^:/\s]+):(\d{1,5})$/;

/** `host:port`, or `unix:/path` where a Unix socket may be meant. */
const tcpAddress = z.string().refine((text) => {
  const match = portPattern.exec(text);
  return match !== null && Number(match[2]) <= 65535;
}, "expected host:port, such as 127.0.0.1:8080");
const anyAddress = z.string().refine((text) => {
  if (text.startsWith("unix:")) return text.length > "unix:/".length && text.startsWith("unix:/");
  const match = portPattern.exec(text);
  return match !== null && Number(match[2]) <= 65535;
}, "expected host:port or unix:/path");

const filterUse = z.union([
  z.string().transform((plugin) => ({ plugin })),
  z.strictObject({
    plugin: name.describe("Name of the plugin"),
    configuration: z.unknown().optional().describe("Handed to the plugin in place of its manifest's configuration"),
    fail: failPolicy
      .optional()
      .describe("What a failure of the plugin does to the request; in place of its manifest's"),
  }),
]);

const destination = z.union([
  z.strictObject({ plugin: name.describe("A plugin of kind service") }),
  z.strictObject({
    app: z.literal(true).describe("The application: gRPC at app.grpc, all else at app.http, whichever there are"),
  }),
  z.strictObject({ upstream: name.describe("An upstream by name") }),
  z.strictObject({ pluginById: z.literal(true).describe("The plugin that the request header `id` names") }),
  z
    .array(z.strictObject({ upstream: name, weight: z.int().min(0).max(1_000_000) }))
    .min(1)
    .describe("Upstreams by weight"),
]);

const route = z.strictObject({
  match: z
    .strictObject({
      path: z.string().optional().describe("The exact path"),
      prefix: z.string().optional().describe("The beginning of the path"),
      regex: z.string().optional().describe("A regular expression for the whole path"),
      method: z.array(z.string()).optional().describe("Methods; default any"),
      headers: z.record(z.string(), z.string()).optional().describe("Headers and the exact values they must have"),
    })
    .refine(
      (match) => [match.path, match.prefix, match.regex].filter((one) => one !== undefined).length === 1,
      "expected exactly one of path, prefix and regex",
    ),
  filters: z.array(filterUse).default([]).describe("Filters of this route, after those for every route"),
  to: destination.describe("Where the request goes"),
  timeout: duration
    .default(15_000)
    .describe(
      "Longest time from the end of the request to the end of the response; 0s is no limit, which long streams of an upstream need; default 15s",
    ),
});

const tcpListener = z.strictObject({
  listen: tcpAddress.describe("host:port where it listens; 127.0.0.1 takes connections of this host only"),
  filters: z
    .array(filterUse)
    .default([])
    .describe("Filters of its connections, in the order in which bytes of clients come to them"),
  to: z
    .strictObject({ upstream: name.describe("An upstream by name; its protocol does not matter") })
    .describe("Where the bytes go"),
  maxConnections: z.int().min(1).max(65_536).default(1024).describe("Connections beyond these are reset; default 1024"),
  idleTimeout: duration
    .default(3_600_000)
    .describe("Connections in which nothing moves for so long are reset; 0s is no limit; default 1h"),
  connectTimeout: duration
    .refine((milliseconds) => milliseconds > 0, "expected a duration above 0")
    .default(5_000)
    .describe("Longest time to connect to an endpoint, before the next is tried; default 5s"),
});

const upstream = z.strictObject({
  endpoints: z.array(tcpAddress).min(1).describe("host:port of each endpoint; calls take turns"),
  protocol: z
    .enum(["http", "http2", "grpc"])
    .default("http")
    .describe(
      "What the endpoints speak: http is HTTP/1.1, http2 and grpc are HTTP/2 with prior knowledge; default http",
    ),
  filters: z
    .array(filterUse)
    .default([])
    .describe("Filters of every HTTP request to it, whoever makes it, in the order in which requests pass them"),
  maxBufferBytes: byteSize
    .default(1024 ** 2)
    .describe("Most of a body that one of its filters may hold back; default 1Mi"),
});

const component = z.looseObject({ type: z.string().describe("The backend") });
const componentsOfKind = z.record(name, component).default({});

/** Who did what without any token has these names in the history. */
const tokenName = name.refine(
  (owner) => !["admin", "directory", "rollout"].includes(owner),
  "expected a name other than admin, directory and rollout, which have another meaning",
);

/** The shape of the file. Settings of components are checked against their own schemas by `load`. */
export const configurationSchema = z.strictObject({
  app: z
    .strictObject({
      id: name.default("app").describe("Identity of the application, used in key prefixes and as consumer group"),
      http: tcpAddress.optional().describe("Where the application serves HTTP"),
      grpc: anyAddress.optional().describe("Where the application serves gRPC: its callbacks, and its own services"),
    })
    .prefault({}),
  data: z
    .strictObject({ directory: z.string().default("./data").describe("Everything persistent lies below it") })
    .prefault({}),
  log: z
    .strictObject({
      level: z
        .enum(["trace", "debug", "info", "warn", "error", "silent"])
        .default("info")
        .describe("Lowest level that is logged"),
    })
    .prefault({}),
  api: z
    .strictObject({
      grpc: z.array(anyAddress).min(1).default(["127.0.0.1:34904"]).describe("Where the gRPC API listens"),
      maxMessageBytes: byteSize.default(4 * 1024 ** 2).describe("Largest message either way; default 4Mi"),
    })
    .prefault({}),
  admin: z
    .strictObject({
      http: tcpAddress.default("127.0.0.1:34999").describe("Where the admin API listens"),
      token: z
        .string()
        .min(1)
        .optional()
        .describe(
          "Bearer token for everything but GET, known as `admin` to the history; without one, nothing but GET is allowed",
        ),
      tokens: z
        .record(tokenName, z.string().min(1))
        .default({})
        .describe("More bearer tokens, by the names that the history of deploys knows their owners by"),
      probes: tcpAddress.optional().describe("A second listener that serves health and metrics only"),
      wasmAddress: tcpAddress
        .optional()
        .describe(
          "A listener for Layotto's /wasm/install, /wasm/update and /wasm/uninstall only, such as 127.0.0.1:34998",
        ),
    })
    .prefault({}),
  components: z
    .strictObject({
      state: componentsOfKind,
      pubsub: componentsOfKind,
      config: componentsOfKind,
      lock: componentsOfKind,
      sequencer: componentsOfKind,
      secret: componentsOfKind,
      binding: componentsOfKind,
      object: componentsOfKind,
    })
    .prefault({}),
  upstreams: z.record(name, upstream).default({}),
  plugins: z
    .strictObject({
      directory: z.string().optional().describe("Watched: a .wasm dropped here is deployed"),
      grants: z
        .record(name, pluginGrants)
        .default({})
        .describe("What each plugin may reach, of what its manifest asks for"),
      metricTags: metricTags
        .default([])
        .describe(
          "Labels from the names that plugins give their metrics, as `stats_tags` of Envoy; Istio's `reporter=.=source;.;` needs none",
        ),
      keep: z
        .int()
        .min(0)
        .max(20)
        .default(3)
        .describe("Versions of each plugin that are kept to go back to, beside the stable one; default 3"),
      sources: pluginSources.prefault({}),
      signatures: pluginSignatures.prefault({}),
    })
    .prefault({}),
  ingress: z
    .strictObject({
      http: tcpAddress.default("127.0.0.1:2045").describe("Where the ingress listens"),
      filters: z
        .array(filterUse)
        .default([])
        .describe("Filters of every route; the route is chosen by what they make of a request's head"),
      routes: z.array(route).default([]).describe("The first that matches is taken"),
      tcp: z.array(tcpListener).default([]).describe("Listeners for TCP connections, whatever these carry"),
      maxHeaderBytes: byteSize.default(64 * 1024).describe("Largest request head; default 64Ki"),
      maxBodyBytes: byteSize.optional().describe("Largest request body; default no limit, bodies are streamed"),
      maxBufferBytes: byteSize
        .default(1024 ** 2)
        .describe("Most of a body, or of one side of a TCP connection, that a filter may hold back; default 1Mi"),
    })
    .prefault({}),
});

export type Configuration = z.output<typeof configurationSchema>;
export type RouteConfiguration = Configuration["ingress"]["routes"][number];
export type UpstreamConfiguration = Configuration["upstreams"][string];
