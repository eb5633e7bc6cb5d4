import type { z } from "zod";
import type { CallContext, ComponentDefinition } from "../component.ts";

export interface InvokeBinding {
  /** One of the binding's operations. */
  readonly operation: string;
  readonly data: Uint8Array;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface BindingResponse {
  readonly data: Uint8Array;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What came in from outside. */
export interface BindingEvent {
  readonly data: Uint8Array;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Settled with success the event is done; a rejection asks for it again where the source can. A source has a limited number of them under way, and waits for those before it takes more. The signal aborts when the binding stops listening. */
export type DeliverBindingEvent = (event: BindingEvent, signal: AbortSignal) => Promise<void>;

/** A way out to a system that is no building block, a way in from it, or both. */
export interface Binding extends AsyncDisposable {
  /** What `invoke` can do, in alphabetical order; empty on a binding that only brings events in. */
  readonly operations: readonly string[];
  /** The runtime asks for none but the binding's own operations. */
  invoke(request: InvokeBinding, call: CallContext): Promise<BindingResponse>;
  /** Brings events in until disposed; absent on a binding that only goes out. */
  listen?(deliver: DeliverBindingEvent): Promise<AsyncDisposable>;
}

/** `input`: `listen` is there. `output`: there are operations. `redelivery`: an event that is rejected comes again. */
export type BindingCapability = "input" | "output" | "redelivery";

export const defineBinding = <Schema extends z.ZodObject>(
  definition: ComponentDefinition<Binding, Schema, BindingCapability>,
): ComponentDefinition<Binding, Schema, BindingCapability> => definition;
