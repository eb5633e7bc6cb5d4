import type { z } from "zod";

/** The kinds of component, as they stand under `components:` in the configuration file. */
export type ComponentKind = "state" | "pubsub" | "config" | "lock" | "sequencer" | "secret" | "binding" | "object";

/** Structured logging as components use it; pino satisfies it. */
export interface ComponentLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Where a component says whether its server answers; readiness shows it. */
export interface Reachability {
  /** The component cannot serve for now. `why` is a clause for operators: `connection refused`. */
  down(why: string): void;
  /** The component serves again. */
  up(): void;
}

/** A setting that holds a secret: the text itself, or where in a secret store it lies. */
export type SecretSetting = string | { readonly secretKeyRef: SecretKeyReference };

/** A value of a secret in a store that is configured under `components.secret`. */
export interface SecretKeyReference {
  readonly store: string;
  readonly name: string;
  /** Which value of the secret; default the one under the secret's own name. */
  readonly key?: string | undefined;
}

/** What a component is handed when it is opened. */
export interface OpenContext {
  /** The component's name in the configuration, for messages and file names. */
  readonly name: string;
  /** Everything persistent lies below this directory (`data.directory`); relative paths of a configuration resolve against it. */
  readonly dataDirectory: string;
  readonly log: ComponentLog;
  readonly reachability: Reachability;
  /** The text that a setting stands for; rejects with a sentence when there is no such secret. */
  readonly secret: (setting: SecretSetting) => Promise<string>;
  /** The one of its type that all components of the process use together, made for the first and closed behind the last; absent where a component stands alone. */
  readonly share?: <Part extends AsyncDisposable>(type: new () => Part) => Part;
}

/** What is known of the call that a component serves. */
export interface CallContext {
  /** Aborts when the caller cancels or the deadline passes; whatever waits must listen to it. */
  readonly signal: AbortSignal;
  /** As `signal.throwIfAborted()`, cheaper where a signal is made only when it is read. */
  readonly throwIfAborted?: () => void;
  /** Milliseconds since the epoch. */
  readonly deadlineMs?: number | undefined;
  /** W3C `traceparent` of the caller. */
  readonly traceparent?: string | undefined;
  /** Metadata of the call as it came, names in lower case; absent where the way in has none. */
  readonly metadata?: readonly (readonly [name: string, value: string])[];
  /** Sends metadata ahead of the response, once and before it; absent where the way in has none. */
  readonly sendMetadata?: (metadata: readonly (readonly [name: string, value: string])[]) => void;
  /** Sets the metadata that follows the response, whatever it is; absent where the way in has none. */
  readonly setTrailingMetadata?: (metadata: readonly (readonly [name: string, value: string])[]) => void;
  /** Who called: an address such as `127.0.0.1:51234` or `plugin:orders`, and an identity when it was proven. */
  readonly peer: { readonly address: string; readonly identity?: string };
  /** The plugin that called, and who made the request that it works for; undefined when no plugin called. */
  readonly caller?: PluginCaller | undefined;
  /** `app.id` of the configuration. */
  readonly appId: string;
  readonly log: ComponentLog;
}

/** A plugin that calls, and the one before it. */
interface PluginCaller {
  readonly plugin: string;
  readonly caller: PluginCaller | undefined;
}

/** Throws when the call has ended, without having its signal made for that alone. */
export function throwIfAborted(call: CallContext): void {
  if (call.throwIfAborted === undefined) call.signal.throwIfAborted();
  else call.throwIfAborted();
}

/** A backend: its type in the configuration, the schema of its settings, and how it is opened. */
export interface ComponentDefinition<
  Component extends AsyncDisposable,
  Schema extends z.ZodObject = z.ZodObject,
  Capability extends string = string,
> {
  readonly type: string;
  readonly config: Schema;
  /** What it can of the things that not every backend of the kind can. The conformance suite holds it to them. */
  readonly capabilities: readonly Capability[];
  /** Those of its capabilities that it has with these settings; absent when they depend on none. */
  capabilitiesWith?(config: z.output<Schema>): readonly Capability[];
  /**
   * Resolves to something ready to use. Rejects with a RuntimeError: UNAVAILABLE when its server does not answer, which is
   * tried again later, any other code when settings or credentials are refused.
   */
  open(config: z.output<Schema>, context: OpenContext): Promise<Component>;
}
