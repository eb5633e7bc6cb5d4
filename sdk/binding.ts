import { RuntimeService } from "../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { CallOptions, Channel } from "./channel.ts";
import { contentOf, Value, type Writable } from "./value.ts";

export interface InvokeBinding {
  /** The binding's name in the runtime's configuration. */
  readonly binding: string;
  /** One of its operations, such as `get` or `create`. */
  readonly operation: string;
  readonly data?: Writable;
  /** What the operation needs beside its data, such as `fileName` or `path`. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface BindingResponse {
  readonly data: Value;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Systems outside, by the operations that their bindings have. */
export class BindingClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Rejects with UNIMPLEMENTED, and a message that names the operations there are, for any other. */
  async invoke(request: InvokeBinding, options?: CallOptions): Promise<BindingResponse> {
    const { binding: name, operation, data, metadata } = request;
    const bytes = data === undefined ? new Uint8Array() : contentOf(data).bytes;
    const message = { name, operation, data: bytes, metadata: { ...metadata } };
    const response = await this.#channel.unary(RuntimeService.invokeBinding, message, options);
    return { data: new Value(response.data), metadata: response.metadata };
  }
}
