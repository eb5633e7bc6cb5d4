import type { ClosingPeer, ConnectionFilter, ConnectionHost, ConnectionSide } from "../plugin/connection-filter.ts";
import type { FilterAction } from "../plugin/contract.ts";
import type { PluginError } from "../plugin/plugin-error.ts";
import { PeerType } from "./abi.ts";
import { deleteContext, finishContext } from "./context-end.ts";
import { pluginError } from "./fault.ts";
import type { Callback, Callbacks } from "./guest-exports.ts";
import type { RootContext } from "./root-context.ts";
import type { Vm } from "./vm.ts";

/** What is shown to the guest; a new connection belongs to the client's side, and has no data yet. */
interface Part {
  readonly callback: keyof Callbacks;
  readonly side: ConnectionSide;
  readonly hasData: boolean;
}

const newConnection: Part = { callback: "newConnection", side: "downstream", hasData: false };
const downstreamData: Part = { callback: "downstreamData", side: "downstream", hasData: true };
const upstreamData: Part = { callback: "upstreamData", side: "upstream", hasData: true };

/** A TCP connection in the guest, with the rules that StreamContext has for streams of HTTP. */
export class ConnectionContext implements ConnectionFilter {
  readonly id: number;
  readonly root: RootContext;
  readonly #vm: Vm;
  readonly #host: ConnectionHost;
  #phase: "open" | "ended" | "failed" = "open";
  #created = false;
  /** Of the callback that runs: its side, and what the guest asked for in it. */
  #side: ConnectionSide | undefined;
  #resumed = false;
  #stopped = false;
  /** What it puts off, made when it is needed: the same function again waits but once. */
  readonly #resumptions: { [Side in ConnectionSide]?: () => void } = {};
  readonly #closings: { [Side in ConnectionSide]?: () => void } = {};

  constructor(root: RootContext, host: ConnectionHost) {
    const { vm } = root;
    this.root = root;
    this.#vm = vm;
    this.#host = host;
    this.id = vm.contexts.add(this);
    root.openStreams += 1;
  }

  get kind(): "connection" {
    return "connection";
  }

  newConnection(): FilterAction {
    return this.#show(newConnection, false);
  }

  downstreamData(endOfStream: boolean): FilterAction {
    return this.#show(downstreamData, endOfStream);
  }

  upstreamData(endOfStream: boolean): FilterAction {
    return this.#show(upstreamData, endOfStream);
  }

  downstreamClose(peer: ClosingPeer): void {
    this.#tellClose(this.#vm.callbacks.downstreamClose, peer);
  }

  upstreamClose(peer: ClosingPeer): void {
    this.#tellClose(this.#vm.callbacks.upstreamClose, peer);
  }

  end(): void {
    if (this.#phase !== "open") return;
    this.#phase = "ended";
    const vm = this.#vm;
    if (vm.suspends) vm.take(() => finishContext(vm, this));
    else if (vm.closed === undefined) finishContext(vm, this);
    this.root.streamEnded();
  }

  /** As in StreamContext: nothing passes before it was told that the guest has died. */
  #failWithGuest(error: PluginError): FilterAction {
    this.fail(this.root.closed ?? error);
    return "pause";
  }

  /** Tells the data plane that the guest can do no more for this connection. */
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

  /** What hostcalls may reach; undefined once the connection failed. */
  get host(): ConnectionHost | undefined {
    return this.#phase === "failed" ? undefined : this.#host;
  }

  /** `proxy_continue_stream`: in a callback of that side it overrules the pause that the callback answers. */
  resume(side: ConnectionSide): void {
    if (this.#vm.entered === this && this.#side === side) this.#resumed = true;
    else {
      this.#resumptions[side] ??= () => this.#host.resume(side);
      this.#vm.defer(this.#resumptions[side]);
    }
  }

  /** `proxy_close_stream`. */
  close(side: ConnectionSide): void {
    if (this.#vm.entered === this) this.#stopped = true;
    this.#closings[side] ??= () => this.#host.close(side);
    this.#vm.defer(this.#closings[side]);
  }

  /** `proxy_done` after `proxy_on_done` answered that it was not. */
  complete(): void {
    this.root.undone.delete(this);
    this.#vm.take(() => deleteContext(this.#vm, this));
  }

  #show(part: Part, endOfStream: boolean): FilterAction {
    const vm = this.#vm;
    if (this.#phase !== "open") return "continue";
    if (vm.closed !== undefined) return this.#failWithGuest(vm.closed);
    const callback = vm.callbacks[part.callback];
    if (callback === undefined && (this.#created || vm.callbacks.contextCreate === undefined)) {
      this.#created = true;
      return "continue";
    }
    if (vm.suspends) {
      vm.take(() => this.#showLater(part, callback, endOfStream), { late: () => this.#late() });
      return "suspended";
    }
    const create = this.#create();
    if (create !== undefined) vm.callNow(this, create, this.id, this.root.id);
    let action: FilterAction = "continue";
    if (callback !== undefined && vm.closed === undefined) {
      this.#begin(part);
      action = this.#actionOf(vm.callNow(this, callback, this.id, this.#sizeOf(part), endOfStream ? 1 : 0));
    }
    vm.act();
    return vm.closed === undefined ? action : "pause";
  }

  async #showLater(part: Part, callback: Callback | undefined, endOfStream: boolean): Promise<void> {
    const vm = this.#vm;
    if (!this.#isOpen()) return;
    const create = this.#create();
    if (create !== undefined) await vm.callLater(this, create, this.id, this.root.id);
    let action: "continue" | "pause" = "continue";
    if (callback !== undefined && vm.closed === undefined) {
      this.#begin(part);
      const size = this.#sizeOf(part);
      action = this.#actionOf(await vm.callLater(this, callback, this.id, size, endOfStream ? 1 : 0));
    }
    vm.act();
    if (vm.closed === undefined && this.#isOpen()) this.#host.settle(action);
  }

  /** The callback that makes the context, the first time. */
  #create(): Callback | undefined {
    if (this.#created) return undefined;
    this.#created = true;
    return this.#vm.callbacks.contextCreate;
  }

  /** In its turn even after the end: what is told of the end comes behind it. */
  #tellClose(callback: Callback | undefined, peer: ClosingPeer): void {
    const vm = this.#vm;
    if (this.#phase !== "open" || callback === undefined) return;
    vm.take(() => {
      if (!this.#created || this.#phase === "failed") return undefined;
      return vm.enter(this, callback, this.id, peer === "local" ? PeerType.LOCAL : PeerType.REMOTE);
    });
  }

  #isOpen(): boolean {
    return this.#phase === "open";
  }

  #begin(part: Part): void {
    this.#side = part.side;
    this.#resumed = false;
    this.#stopped = false;
  }

  #sizeOf({ side, hasData }: Part): number {
    return hasData ? (this.#host.data(side)?.length ?? 0) : 0;
  }

  #actionOf(answer: number): "continue" | "pause" {
    this.#side = undefined;
    if (this.#stopped) return "pause";
    return answer === 0 || this.#resumed ? "continue" : "pause";
  }

  /** The time of a callback was up, its wait included; the guest itself may go on. */
  #late(): void {
    if (this.#phase !== "open") return;
    const vm = this.#vm;
    const { program } = this.root;
    this.fail(pluginError(program, "deadline", `did not answer within ${program.deadlineMs} ms, its wait included`));
    vm.take(() => finishContext(vm, this));
  }
}
