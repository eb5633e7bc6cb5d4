import { proxy_done, proxy_set_tick_period_milliseconds } from "./abi";
import { Context } from "./context";

/**
 * A plugin with one configuration: lives as long as its configuration does, and is what its streams share. One module
 * may hold several at once, when it is used with different configurations.
 */
export class Plugin extends Context {
  /** The VM starts; `configuration` is `vmConfiguration` of the manifest. Called before `onConfigure`. False refuses to start. */
  onVmStart(configuration: Uint8Array): bool {
    return true;
  }

  /** Takes the configuration, usually JSON, empty when there is none. False refuses it; log why. */
  onConfigure(configuration: Uint8Array): bool {
    return true;
  }

  /** Whether a configuration is acceptable, for hosts that ask before they use it; nothing is to be kept of it. */
  onValidate(configuration: Uint8Array): bool {
    return true;
  }

  /** The period given to `tickEvery` passed. */
  onTick(): void {}

  /** A message came to a shared queue that this plugin registered: compare with `SharedQueue.id`, then `dequeue` until null. */
  onQueueReady(queueId: u32): void {}

  /** The last stream ended and the plugin goes. False keeps it until `finish` is called. */
  onDone(): bool {
    return true;
  }

  /** The last moment to log. */
  onLog(): void {}

  /** Calls `onTick` every so many milliseconds; 0 ends that. */
  tickEvery(milliseconds: u32): void {
    this.use();
    proxy_set_tick_period_milliseconds(milliseconds);
  }

  /** Lets the plugin go after an `onDone` that answered false. */
  finish(): void {
    this.use();
    proxy_done();
  }
}
