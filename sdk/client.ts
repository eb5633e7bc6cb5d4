import { RuntimeService } from "../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { BindingClient } from "./binding.ts";
import { type CallOptions, Channel, type ChannelOptions } from "./channel.ts";
import { ConfigClient } from "./config.ts";
import { FileClient } from "./file.ts";
import { InvokeClient } from "./invoke.ts";
import { LockClient } from "./lock.ts";
import { PubSubClient } from "./pubsub.ts";
import { SecretClient } from "./secret.ts";
import { SequencerClient } from "./sequencer.ts";
import { StateClient } from "./state.ts";

/** The runtime beside the application. Failed calls reject with OutriggerError. */
export class OutriggerClient implements AsyncDisposable {
  readonly state: StateClient;
  readonly pubsub: PubSubClient;
  readonly config: ConfigClient;
  readonly lock: LockClient;
  readonly sequencer: SequencerClient;
  readonly secret: SecretClient;
  readonly binding: BindingClient;
  readonly file: FileClient;
  readonly invoke: InvokeClient;
  readonly #channel: Channel;

  constructor(options: ChannelOptions = {}) {
    this.#channel = new Channel(options);
    this.state = new StateClient(this.#channel);
    this.pubsub = new PubSubClient(this.#channel);
    this.config = new ConfigClient(this.#channel);
    this.lock = new LockClient(this.#channel);
    this.sequencer = new SequencerClient(this.#channel);
    this.secret = new SecretClient(this.#channel);
    this.binding = new BindingClient(this.#channel);
    this.file = new FileClient(this.#channel);
    this.invoke = new InvokeClient(this.#channel);
  }

  /** Resolves once the runtime accepts connections, for an application that starts first; waits 30 seconds by default. */
  ready({ timeoutMs = 30_000 }: { readonly timeoutMs?: number } = {}): Promise<void> {
    return this.#channel.ready(timeoutMs);
  }

  /** The runtime's greeting. */
  async hello({ name = "" }: { readonly name?: string } = {}, options?: CallOptions): Promise<string> {
    const request = { serviceName: "", name, data: undefined };
    const { hello } = await this.#channel.unary(RuntimeService.sayHello, request, options);
    return hello;
  }

  /** Closes the connection; calls in flight end first. */
  close(): void {
    this.#channel[Symbol.dispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
