import type { Binding, DeliverBindingEvent } from "../../components/binding/binding.ts";

/** A way in and out that the test holds in its hand. */
export class HandBinding implements Binding {
  readonly operations: readonly string[];
  listeners = 0;
  #stopping = new AbortController();
  #deliver: DeliverBindingEvent = () => Promise.reject(new Error("nobody listens"));

  constructor(...operations: readonly string[]) {
    this.operations = operations;
  }

  async invoke({ operation, data }: { readonly operation: string; readonly data: Uint8Array }) {
    return { data, metadata: { operation } };
  }

  async listen(deliver: DeliverBindingEvent): Promise<AsyncDisposable> {
    this.#deliver = deliver;
    this.#stopping = new AbortController();
    this.listeners++;
    return {
      [Symbol.asyncDispose]: async () => {
        this.listeners--;
        this.#stopping.abort(new Error("the source stopped"));
      },
    };
  }

  /** Settles as the delivery does. */
  bring(text: string, metadata: Readonly<Record<string, string>> = {}): Promise<void> {
    return this.#deliver({ data: Buffer.from(text), metadata }, this.#stopping.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
