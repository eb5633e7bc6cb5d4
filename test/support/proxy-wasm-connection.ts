import { EventEmitter, once } from "node:events";
import type { ConnectionHost, ConnectionSide } from "../../runtime/plugin/connection-filter.ts";
import type { BodyBuffer, PropertyValue } from "../../runtime/plugin/contract.ts";
import type { PluginError } from "../../runtime/plugin/plugin-error.ts";
import { TestBody } from "./proxy-wasm-host.ts";

/** A TCP connection without a proxy around it: the test says what its data is, and sees what the filter does to it. */
export class TestConnection implements ConnectionHost {
  readonly buffers: { [Side in ConnectionSide]?: TestBody } = {};
  readonly properties = new Map<string, PropertyValue>();
  /** What the filter did, in order: `resume downstream`, `settle pause`, `close upstream`, `failed trap`. */
  readonly events: string[] = [];
  error: PluginError | undefined;
  readonly #told = new EventEmitter();

  /** Data of that side, until the test shows other data. */
  show(side: ConnectionSide, text: string): TestBody {
    const body = new TestBody(text);
    this.buffers[side] = body;
    return body;
  }

  data(side: ConnectionSide): BodyBuffer | undefined {
    return this.buffers[side];
  }

  resume(side: ConnectionSide): void {
    this.#tell(`resume ${side}`);
  }

  settle(action: "continue" | "pause"): void {
    this.#tell(`settle ${action}`);
  }

  close(side: ConnectionSide): void {
    this.#tell(`close ${side}`);
  }

  failed(error: PluginError): void {
    this.error = error;
    this.#tell(`failed ${error.fault}`);
  }

  property(path: readonly string[]): PropertyValue | undefined {
    return this.properties.get(path.join("."));
  }

  setProperty(path: readonly string[], value: Uint8Array): boolean {
    this.properties.set(path.join("."), value);
    return true;
  }

  /** Resolves when an event that begins so has happened. */
  async saw(event: string): Promise<void> {
    while (!this.events.some((one) => one.startsWith(event))) await once(this.#told, "event");
  }

  #tell(event: string): void {
    this.events.push(event);
    this.#told.emit("event");
  }
}
