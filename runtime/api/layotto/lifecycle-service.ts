import type { CallContext, ComponentKind } from "../../../components/component.ts";
import { RuntimeError } from "../../../components/error.ts";
import { LifecycleService } from "../../../proto/gen/spec/proto/runtime/v1/lifecycle.ts";
import { defineService, type GrpcService } from "../../grpc/service.ts";

export interface LifecycleOptions {
  /** Whose token an `authorization` header holds; undefined for a stranger's. */
  readonly owner: (authorization: string | undefined) => string | undefined;
  /** Whether there is any token at all. */
  readonly hasTokens: boolean;
  /** Whether a component of that name is configured. */
  readonly isConfigured: (kind: ComponentKind, name: string) => boolean;
  /** Gives a component other settings; rejects with a sentence for the caller. */
  readonly apply: (kind: ComponentKind, name: string, settings: Readonly<Record<string, string>>) => Promise<void>;
}

/** Our kinds by the names that Layotto has for them, and by their own. */
const kinds: Readonly<Record<string, ComponentKind>> = {
  state: "state",
  pubsub: "pubsub",
  pub_subs: "pubsub",
  config: "config",
  config_store: "config",
  lock: "lock",
  sequencer: "sequencer",
  secret: "secret",
  secret_store: "secret",
  binding: "binding",
  bindings: "binding",
  object: "object",
  file: "object",
  oss: "object",
};

/** `spec.proto.runtime.v1.Lifecycle`: settings of components, for those who have a token of the admin API. Guests never call it. */
export function createLifecycleService(options: LifecycleOptions): GrpcService {
  return defineService(LifecycleService, {
    async applyConfiguration({ componentConfig }, call) {
      requireToken(options, call);
      const { kind: kindName = "", name = "", metadata = {} } = componentConfig ?? {};
      const kind = Object.hasOwn(kinds, kindName) ? kinds[kindName] : undefined;
      if (kind === undefined) {
        const message = `there is no kind of component '${kindName}'; there are ${[...new Set(Object.values(kinds))].join(", ")}`;
        throw new RuntimeError("INVALID_ARGUMENT", "COMPONENT_KIND_UNKNOWN", message);
      }
      if (!options.isConfigured(kind, name)) {
        const message = `no ${kind} component '${name}' is configured; only those of the configuration file can be changed`;
        throw new RuntimeError("INVALID_ARGUMENT", "COMPONENT_NOT_FOUND", message);
      }
      for (const [setting, value] of Object.entries(metadata)) requireSettable(setting, value);
      await options.apply(kind, name, metadata);
      return {};
    },
  });
}

const settingForm = /^[A-Za-z][A-Za-z0-9]{0,63}(\.[A-Za-z][A-Za-z0-9]{0,63}){0,3}$/;
const longestValue = 4_096;
/** What a component is, the places on the host that it reads and writes, and what applications may read of it. */
const ofTheFileOnly = /^(type|path|credentialsFile|allow|route|tls(\..*)?)$/;

function requireSettable(setting: string, value: string): void {
  if (!settingForm.test(setting) || value.length > longestValue) {
    const message = `a setting has a name of letters and digits, with dots between groups, and at most ${longestValue} characters`;
    throw new RuntimeError("INVALID_ARGUMENT", "SETTING_INVALID", message);
  }
  if (!ofTheFileOnly.test(setting)) return;
  const message = `the setting '${setting}' says what the component is or names a place on the host; change it in the configuration file`;
  throw new RuntimeError("PERMISSION_DENIED", "SETTING_OF_THE_FILE", message);
}

function requireToken({ owner, hasTokens }: LifecycleOptions, { metadata }: CallContext): void {
  if (!hasTokens) {
    const message = "set admin.token in the configuration to allow changes of the running sidecar";
    throw new RuntimeError("PERMISSION_DENIED", "TOKEN_NOT_CONFIGURED", message);
  }
  const given = metadata?.find(([name]) => name === "authorization")?.[1];
  if (owner(given) !== undefined) return;
  const message = "expected the metadata 'authorization: Bearer' with a token of the configuration";
  throw new RuntimeError("UNAUTHENTICATED", "TOKEN_WRONG", message);
}
