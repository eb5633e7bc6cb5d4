import type { Binding, BindingResponse, InvokeBinding } from "../../components/binding/binding.ts";
import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { BindingDelivery, type BindingEventHandler } from "./binding-delivery.ts";
import { followStore } from "./follow-store.ts";
import { type OpenedStore, requireCapability, type StoreSet } from "./stores.ts";

export interface BindingRequest extends InvokeBinding {
  /** The binding's name. */
  readonly binding: string;
}

export interface BindingOptions {
  readonly stores: StoreSet<Binding>;
  /** Tries of one event before it is given up to its source; default 5. */
  readonly maxAttempts?: number;
  /** Events of one binding that the application has at once; default 16. */
  readonly maxInFlight?: number;
  /** How long events that the application has may take once a binding is left; default 5 seconds. */
  readonly drainMs?: number;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Calls out through bindings, and hands what comes in through them to the application. */
export class BindingBlock {
  readonly #options: BindingOptions;
  readonly #invoked;
  readonly #delivered;

  constructor(options: BindingOptions) {
    this.#options = options;
    const { metrics } = options;
    this.#invoked = metrics.counter("outrigger_binding_invoked_total", "Operations of bindings that succeeded.", [
      "binding",
      "operation",
    ]);
    this.#delivered = metrics.counter("outrigger_binding_events_total", "Deliveries of events by what came of them.", [
      "binding",
      "outcome",
    ]);
  }

  /** Throws UNIMPLEMENTED for an operation that the binding does not have. */
  async invoke({ binding, ...request }: BindingRequest, call: CallContext): Promise<BindingResponse> {
    const opened = this.#options.stores.find(binding);
    requireOperation(opened, request.operation);
    const response = await opened.store.invoke(request, call);
    this.#invoked.labels(binding, request.operation).inc();
    return response;
  }

  /** Whether events come in through the binding; undefined while it could not be opened yet. */
  bringsEvents(binding: string): boolean | undefined {
    const { stores } = this.#options;
    return stores.names().includes(binding) ? stores.find(binding).capabilities.has("input") : undefined;
  }

  /**
   * Hands the binding's events to the handler until disposed, and goes along when the binding is replaced; throws UNIMPLEMENTED
   * when it brings none in.
   */
  listen(binding: string, handler: BindingEventHandler): Promise<AsyncDisposable> {
    const { stores, log } = this.#options;
    return followStore({
      stores,
      name: binding,
      failed: (error) => log.error({ err: error, binding }, "a binding cannot be listened to anew; it is tried again"),
      begin: (opened) => this.#deliver(opened, handler),
    });
  }

  async #deliver(opened: OpenedStore<Binding>, handler: BindingEventHandler): Promise<AsyncDisposable> {
    const { maxAttempts = 5, maxInFlight = 16, drainMs = 5_000, log } = this.#options;
    const { name: binding, store, capabilities } = opened;
    requireCapability("binding", opened, "input", "events of its own");
    const listen: NonNullable<Binding["listen"]> = (deliver) => {
      if (store.listen === undefined) throw new TypeError(`the binding '${binding}' has no listen`);
      return store.listen(deliver);
    };
    const count = (outcome: string): void => this.#delivered.labels(binding, outcome).inc();
    const redelivers = capabilities.has("redelivery");
    return BindingDelivery.open(
      listen,
      { binding, maxAttempts, maxInFlight, redelivers, drainMs, log, count },
      handler,
    );
  }
}

function requireOperation({ name, type, store }: OpenedStore<Binding>, operation: string): void {
  const { operations } = store;
  if (operations.includes(operation)) return;
  const there = operations.length === 0 ? "it has none, it only brings events in" : `it has ${operations.join(", ")}`;
  if (operation === "") {
    const message = `the operation is empty; name one of binding '${name}', which is of type ${type}: ${there}`;
    throw new RuntimeError("INVALID_ARGUMENT", "OPERATION_MISSING", message);
  }
  const message = `binding '${name}' is of type ${type}, which has no operation '${operation}'; ${there}`;
  const details = { binding: name, type, operation };
  throw new RuntimeError("UNIMPLEMENTED", "OPERATION_NOT_SUPPORTED", message, { details });
}
