import type {
  Caller,
  Direction,
  FilterAction,
  LocalReply,
  SettledAction,
  StreamFilter,
  StreamHost,
  StreamMap,
} from "../plugin/contract.ts";
import type { PluginError } from "../plugin/plugin-error.ts";
import { deleteContext, finishContext } from "./context-end.ts";
import { pluginError } from "./fault.ts";
import type { Callback, Callbacks } from "./guest-exports.ts";
import type { RootContext } from "./root-context.ts";
import type { Vm } from "./vm.ts";

/** The header that carries how many plugins called each other, from one sidecar's plugin to the next. */
export const depthHeader = "outrigger-depth";

const nothing = new Uint8Array(0);

/** A part of a message that is shown to the guest. */
interface Part {
  readonly callback: keyof Callbacks;
  readonly direction: Direction;
  /** The map that is shown; undefined for the body. */
  readonly map: StreamMap | undefined;
}

const requestHeaders: Part = { callback: "requestHeaders", direction: "request", map: "request-headers" };
const requestBody: Part = { callback: "requestBody", direction: "request", map: undefined };
const requestTrailers: Part = { callback: "requestTrailers", direction: "request", map: "request-trailers" };
const responseHeaders: Part = { callback: "responseHeaders", direction: "response", map: "response-headers" };
const responseBody: Part = { callback: "responseBody", direction: "response", map: undefined };
const responseTrailers: Part = { callback: "responseTrailers", direction: "response", map: "response-trailers" };

/**
 * A stream in the guest, and the filter that the data plane drives. A callback in which the guest dies answers `pause`,
 * after `failed` was told; one that comes after that, or after the end, does nothing and answers `continue`.
 */
export class StreamContext implements StreamFilter {
  readonly id: number;
  readonly root: RootContext;
  readonly #vm: Vm;
  readonly #host: StreamHost;
  #phase: "open" | "ended" | "failed" = "open";
  #created = false;
  /** Of the callback that runs: its direction, and what the guest asked for in it. */
  #direction: Direction | undefined;
  #resumed = false;
  #stopped = false;
  #replied = false;
  #depth: number | undefined;
  /** What it puts off, made when it is needed: the same function again waits but once. */
  #resumeRequest: (() => void) | undefined;
  #resumeResponse: (() => void) | undefined;
  #reset: (() => void) | undefined;

  constructor(root: RootContext, host: StreamHost) {
    const { vm } = root;
    this.root = root;
    this.#vm = vm;
    this.#host = host;
    this.id = vm.contexts.add(this);
    root.openStreams += 1;
  }

  get kind(): "stream" {
    return "stream";
  }

  requestHeaders(endOfStream: boolean): FilterAction {
    return this.#show(requestHeaders, endOfStream);
  }

  requestBody(endOfStream: boolean): FilterAction {
    return this.#show(requestBody, endOfStream);
  }

  requestTrailers(): FilterAction {
    return this.#show(requestTrailers, true);
  }

  responseHeaders(endOfStream: boolean): FilterAction {
    return this.#show(responseHeaders, endOfStream);
  }

  responseBody(endOfStream: boolean): FilterAction {
    return this.#show(responseBody, endOfStream);
  }

  responseTrailers(): FilterAction {
    return this.#show(responseTrailers, true);
  }

  end(): void {
    if (this.#phase !== "open") return;
    this.#phase = "ended";
    const vm = this.#vm;
    if (vm.suspends) vm.take(() => finishContext(vm, this));
    else if (vm.closed === undefined) finishContext(vm, this);
    this.root.streamEnded();
  }

  /** The guest has died, and this is called before it was told: a filter beside it shared the guest. Nothing passes. */
  #failWithGuest(error: PluginError): FilterAction {
    this.fail(this.root.closed ?? error);
    return "pause";
  }

  /** Tells the data plane that the guest can do no more for this stream. */
  fail(error: PluginError): void {
    if (this.#phase !== "open") return;
    this.#phase = "failed";
    this.root.streamEnded();
    this.#host.failed(error);
  }

  /** Whether the guest knows this context. */
  get created(): boolean {
    return this.#created;
  }

  /** What hostcalls may reach; undefined once the stream failed. */
  get host(): StreamHost | undefined {
    return this.#phase === "failed" ? undefined : this.#host;
  }

  /** How many plugins called each other to make this request. */
  get depth(): number {
    this.#depth ??= Number(/^\d{1,3}$/.exec(this.#host.headers("request-headers")?.get(depthHeader) ?? "")?.[0] ?? 0);
    return this.#depth;
  }

  /** Who made the request, when that was a plugin. */
  get caller(): Caller | undefined {
    return this.#host.caller;
  }

  /** `proxy_send_local_response`: the first reply counts, and the callback that made it pauses. */
  respond(reply: LocalReply): void {
    if (this.#phase !== "open" || this.#replied) return;
    this.#replied = true;
    if (this.#vm.entered === this) this.#stopped = true;
    this.#vm.defer(() => this.#host.respond(reply));
  }

  /** `proxy_continue_stream`: in a callback of that direction it overrules the pause that the callback answers. */
  resume(direction: Direction): void {
    if (this.#vm.entered === this && this.#direction === direction) this.#resumed = true;
    else this.#vm.defer(this.#resumption(direction));
  }

  /** `proxy_close_stream`. */
  reset(): void {
    if (this.#vm.entered === this) this.#stopped = true;
    this.#reset ??= () => this.#host.reset();
    this.#vm.defer(this.#reset);
  }

  /** `proxy_done` after `proxy_on_done` answered that it was not. */
  complete(): void {
    this.root.undone.delete(this);
    this.#vm.take(() => deleteContext(this.#vm, this));
  }

  #resumption(direction: Direction): () => void {
    if (direction === "request") {
      this.#resumeRequest ??= () => this.#host.resume("request");
      return this.#resumeRequest;
    }
    this.#resumeResponse ??= () => this.#host.resume("response");
    return this.#resumeResponse;
  }

  #show(part: Part, endOfStream: boolean): FilterAction {
    const vm = this.#vm;
    if (this.#phase !== "open") return "continue";
    if (vm.closed !== undefined) return this.#failWithGuest(vm.closed);
    const callback = vm.callbacks[part.callback];
    const hasNothingToSee = callback === undefined && (this.#created || vm.callbacks.contextCreate === undefined);
    if (hasNothingToSee) {
      this.#created = true;
      return "continue";
    }
    if (vm.suspends) {
      vm.take(() => this.#showLater(part, callback, endOfStream), { late: () => this.#late() });
      return "suspended";
    }
    const create = this.#created ? undefined : vm.callbacks.contextCreate;
    this.#created = true;
    if (create !== undefined) vm.callNow(this, create, this.id, this.root.id);
    if (callback !== undefined && vm.closed === undefined) {
      this.#begin(part);
      const answer = vm.callNow(this, callback, this.id, this.#sizeOf(part), endOfStream ? 1 : 0);
      const action = vm.closed === undefined ? this.#actionOf(part, answer) : "pause";
      vm.act();
      return action;
    }
    vm.act();
    return vm.closed === undefined ? "continue" : "pause";
  }

  async #showLater(part: Part, callback: Callback | undefined, endOfStream: boolean): Promise<void> {
    const vm = this.#vm;
    if (this.#phase !== "open") return;
    const create = this.#created ? undefined : vm.callbacks.contextCreate;
    this.#created = true;
    if (create !== undefined) await vm.callLater(this, create, this.id, this.root.id);
    let action: SettledAction = "continue";
    if (callback !== undefined && vm.closed === undefined) {
      this.#begin(part);
      const answer = await vm.callLater(this, callback, this.id, this.#sizeOf(part), endOfStream ? 1 : 0);
      if (vm.closed === undefined) action = this.#actionOf(part, answer);
    }
    vm.act();
    if (vm.closed === undefined && this.#isOpen()) this.#host.settle(action);
  }

  #isOpen(): boolean {
    return this.#phase === "open";
  }

  #begin(part: Part): void {
    this.#direction = part.direction;
    this.#resumed = false;
    this.#stopped = false;
  }

  #sizeOf(part: Part): number {
    if (part.map === undefined) return this.#host.body(part.direction)?.length ?? 0;
    return this.#host.headers(part.map)?.size ?? 0;
  }

  /**
   * What the callback's answer means; the numbers beyond 0 and 1 are those of the C++ library. To headers 2 is "continue and
   * end the stream" there, but Envoy just continues.
   */
  #actionOf(part: Part, answer: number): SettledAction {
    this.#direction = undefined;
    if (this.#stopped) return "pause";
    const isBody = part.map === undefined;
    const isHead = part.map?.endsWith("-headers") === true;
    if (answer === 0 || (answer === 2 && isHead)) return "continue";
    const keepsNothing = isBody && answer !== 1 && answer !== 2;
    const body = keepsNothing && this.#isOpen() ? this.#host.body(part.direction) : undefined;
    body?.splice(0, body.length, nothing);
    if (this.#resumed) return "continue";
    if (isHead && answer === 3) return "buffer";
    if (isBody && answer === 2) return "watermark";
    return answer === 1 && isHead && this.root.program.showsBodyOfHeldHeaders ? "hold" : "pause";
  }

  /** The time of a callback was up, its wait included; the guest itself may go on. */
  #late(): void {
    if (this.#phase !== "open") return;
    const { program } = this.root;
    this.fail(pluginError(program, "deadline", `did not answer within ${program.deadlineMs} ms, its wait included`));
    this.#vm.take(() => finishContext(this.#vm, this));
  }
}
