import { RuntimeService } from "../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { CallOptions, Channel } from "./channel.ts";

/** The values of a secret by their keys; a secret of one value has it under its own name. */
export type Secret = Readonly<Record<string, string>>;

export interface GetSecret {
  readonly store: string;
  readonly name: string;
}

/** Secrets that the runtime's configuration lets applications read; others fail with PERMISSION_DENIED. */
export class SecretClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Fails with NOT_FOUND when there is no such secret. */
  async get({ store, name }: GetSecret, options?: CallOptions): Promise<Secret> {
    const request = { storeName: store, key: name, metadata: {} };
    const { data } = await this.#channel.unary(RuntimeService.getSecret, request, options);
    return data;
  }

  /** Every secret of the store that applications may read, by its name. */
  async getAll(
    { store }: { readonly store: string },
    options?: CallOptions,
  ): Promise<Readonly<Record<string, Secret>>> {
    const request = { storeName: store, metadata: {} };
    const { data } = await this.#channel.unary(RuntimeService.getBulkSecret, request, options);
    return Object.fromEntries(Object.entries(data).map(([name, { secrets }]) => [name, secrets]));
  }
}
