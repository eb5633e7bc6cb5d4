import { RuntimeError } from "../../components/error.ts";
import type { RuntimeService } from "../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { Capabilities } from "../config/schema.ts";
import { nouns as storeNouns } from "./stores.ts";

/** What a plugin must have been granted for a call. */
export interface RequiredGrant {
  readonly kind: keyof Capabilities;
  readonly names: readonly string[];
}

/** The kind of grant and where in the request its name stands; `anyone` needs none, `no-guest` is for applications only. */
type Row = { readonly kind: keyof Capabilities; readonly name: readonly string[] } | "anyone" | "no-guest";

const state = { kind: "state", name: ["storeName"] } as const;
const config = { kind: "config", name: ["storeName"] } as const;
const lock = { kind: "lock", name: ["storeName"] } as const;
const file = { kind: "object", name: ["request", "storeName"] } as const;
const secret = { kind: "secret", name: ["storeName"] } as const;

/** Every method of Layotto's service: a new one does not compile without its row. Streams are for applications. */
const runtimeMethods: Readonly<Record<keyof RuntimeService, Row>> = {
  sayHello: "anyone",
  invokeService: { kind: "invoke", name: ["id"] },
  getConfiguration: config,
  saveConfiguration: config,
  deleteConfiguration: config,
  subscribeConfiguration: "no-guest",
  tryLock: lock,
  unlock: lock,
  lockKeepAlive: lock,
  getNextId: { kind: "sequencer", name: ["storeName"] },
  getState: state,
  getBulkState: state,
  saveState: state,
  deleteState: state,
  deleteBulkState: state,
  executeStateTransaction: state,
  publishEvent: { kind: "pubsub", name: ["pubsubName"] },
  subscribeTopicEvents: "no-guest",
  getFile: "no-guest",
  putFile: "no-guest",
  listFile: file,
  delFile: file,
  getFileMeta: file,
  invokeBinding: { kind: "binding", name: ["name"] },
  getSecret: secret,
  getBulkSecret: secret,
};

/** By full method name, as it is called. A service that is not here (Lifecycle among them) is denied. */
const rows: ReadonlyMap<string, Row> = new Map(
  Object.entries(runtimeMethods).map(([key, row]) => {
    return [`/spec.proto.runtime.v1.Runtime/${key.charAt(0).toUpperCase()}${key.slice(1)}`, row];
  }),
);

const nouns: Readonly<Partial<Record<keyof Capabilities, string>>> = { ...storeNouns, invoke: "invoke target" };

/** What a plugin needs to make this call, given the decoded request; undefined when no plugin may make it at all. */
export function requiredGrants(method: string, request: unknown): readonly RequiredGrant[] | undefined {
  const row = rows.get(method);
  if (row === undefined || row === "no-guest") return undefined;
  if (row === "anyone") return [];
  return [{ kind: row.kind, names: [textAt(request, row.name)] }];
}

/** Throws PERMISSION_DENIED, naming the plugin, the kind and the store, unless the grants allow the call. */
export function checkGrants(plugin: string, grants: Capabilities, method: string, request: unknown): void {
  const required = requiredGrants(method, request);
  if (required === undefined) {
    const message = `plugin '${plugin}' may not call ${method}: the method is not open to plugins`;
    throw new RuntimeError("PERMISSION_DENIED", "METHOD_NOT_GRANTED", message, { details: { plugin, method } });
  }
  for (const { kind, names } of required) {
    for (const name of names) requireGrant(plugin, grants, kind, name);
  }
}

/** Throws PERMISSION_DENIED, naming the plugin, the kind and the name, unless it was granted. */
export function requireGrant(plugin: string, grants: Capabilities, kind: keyof Capabilities, name: string): void {
  if (!grants[kind].includes(name)) throw notGranted(plugin, kind, name);
}

export function notGranted(plugin: string, kind: keyof Capabilities, name: string): RuntimeError {
  const message = `plugin '${plugin}' was not granted the ${nouns[kind] ?? kind} '${name}'; let its manifest ask for it under capabilities.${kind}, and grant it under plugins.grants.${plugin}.${kind}`;
  return new RuntimeError("PERMISSION_DENIED", "NOT_GRANTED", message, { details: { plugin, kind, name } });
}

function textAt(request: unknown, path: readonly string[]): string {
  let value = request;
  for (const field of path) {
    value = typeof value === "object" && value !== null ? Reflect.get(value, field) : undefined;
  }
  return typeof value === "string" ? value : "";
}
