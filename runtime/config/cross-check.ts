import { messageOf } from "../../components/thrown.ts";
import { suggestion } from "./nearest.ts";
import type { Configuration } from "./schema.ts";
import { type Problem, shownText } from "./validate.ts";

/** What one part of a configuration says of another: names that nothing answers to, addresses used twice. */
export function crossCheck(configuration: Configuration): Problem[] {
  return [
    ...routes(configuration),
    ...secretReferences(configuration),
    ...grants(configuration),
    ...addresses(configuration),
  ];
}

function* routes({ ingress, upstreams, app }: Configuration): Generator<Problem> {
  const known = Object.keys(upstreams);
  for (const [index, { to, match }] of ingress.routes.entries()) {
    const path = ["ingress", "routes", index, "to"];
    const targets = Array.isArray(to)
      ? to.map(({ upstream }, at) => ({ upstream, path: [...path, at, "upstream"] }))
      : [];
    if (!Array.isArray(to) && "upstream" in to) targets.push({ upstream: to.upstream, path: [...path, "upstream"] });
    for (const target of targets) {
      if (!known.includes(target.upstream)) {
        yield {
          path: target.path,
          message: `no upstream is named '${target.upstream}'; ${suggestion(target.upstream, known)}`,
        };
      }
    }
    if (Array.isArray(to) && to.every(({ weight }) => weight === 0)) {
      yield { path, message: "every weight is 0; expected at least one above it" };
    }
    if (!Array.isArray(to) && "app" in to && app.http === undefined && app.grpc === undefined) {
      yield {
        path: [...path, "app"],
        message: "the route leads to the application, but neither app.http nor app.grpc says where that is",
      };
    }
    if (match.regex !== undefined) {
      try {
        new RegExp(match.regex);
      } catch (error) {
        yield {
          path: ["ingress", "routes", index, "match", "regex"],
          message: messageOf(error),
        };
      }
    }
  }
  for (const [index, { to }] of ingress.tcp.entries()) {
    if (known.includes(to.upstream)) continue;
    yield {
      path: ["ingress", "tcp", index, "to", "upstream"],
      message: `no upstream is named '${to.upstream}'; ${suggestion(to.upstream, known)}`,
    };
  }
  if (known.includes("outrigger")) {
    yield {
      path: ["upstreams", "outrigger"],
      message: "the name is reserved: to a plugin it means the runtime itself",
    };
  }
}

/** Most levels of a component's settings that are looked into. */
const deepest = 16;

/** Settings of components that refer to a secret; the secret stores open first, so that they have none. */
function* secretReferences({ components }: Configuration): Generator<Problem> {
  const known = Object.keys(components.secret);
  for (const { store, path } of referencesIn(components, ["components"])) {
    if (path[1] === "secret") {
      yield { path, message: "a secret store cannot take a setting from a secret store" };
    } else if (!known.includes(store)) {
      const message = `no secret store is named ${shownText(store)}; ${suggestion(store, known)}`;
      yield { path: [...path, "store"], message };
    }
  }
}

function* referencesIn(
  value: unknown,
  path: readonly PropertyKey[],
): Generator<{ store: string; path: PropertyKey[] }> {
  // An alias of YAML can make a mapping a part of itself.
  if (typeof value !== "object" || value === null || path.length > deepest) return;
  for (const [key, inner] of Object.entries(value)) {
    const at = [...path, Array.isArray(value) ? Number(key) : key];
    if (key === "secretKeyRef" && typeof inner === "object" && typeof inner?.store === "string") {
      yield { store: inner.store, path: at };
    }
    yield* referencesIn(inner, at);
  }
}

/** Kinds whose names stand under `components`; the other kinds of grant name things that are not components here. */
const componentGrants = ["state", "pubsub", "config", "lock", "sequencer", "secret", "binding", "object"] as const;

function* grants({ plugins, components, upstreams }: Configuration): Generator<Problem> {
  for (const [plugin, granted] of Object.entries(plugins.grants)) {
    const named = [
      ...componentGrants.map((kind) => ({ kind, what: `${kind} component`, known: Object.keys(components[kind]) })),
      { kind: "upstreams" as const, what: "upstream", known: Object.keys(upstreams) },
      { kind: "invoke" as const, what: "upstream", known: Object.keys(upstreams) },
    ];
    for (const { kind, what, known } of named) {
      for (const [index, name] of granted[kind].entries()) {
        if (known.includes(name)) continue;
        yield {
          path: ["plugins", "grants", plugin, kind, index],
          message: `no ${what} is named '${name}'; ${suggestion(name, known)}`,
        };
      }
    }
  }
}

function* addresses({ api, admin, ingress }: Configuration): Generator<Problem> {
  const used = new Map<string, string>();
  const listeners: [path: (string | number)[], address: string | undefined][] = [
    ...api.grpc.map((address, index): [(string | number)[], string] => [["api", "grpc", index], address]),
    [["admin", "http"], admin.http],
    [["admin", "probes"], admin.probes],
    [["admin", "wasmAddress"], admin.wasmAddress],
    [["ingress", "http"], ingress.http],
    ...ingress.tcp.map(({ listen }, index): [(string | number)[], string] => [
      ["ingress", "tcp", index, "listen"],
      listen,
    ]),
  ];
  for (const [path, address] of listeners) {
    if (address === undefined || address.endsWith(":0")) continue;
    const other = used.get(address);
    if (other !== undefined) yield { path, message: `${address} is already the address of ${other}` };
    used.set(address, path.join("."));
  }
}
